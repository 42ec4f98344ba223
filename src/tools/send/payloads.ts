const LINE_FEED = 10
const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const UTF16_MARKS = [
  { mark: Buffer.from([0xff, 0xfe]), encoding: 'utf-16le' },
  { mark: Buffer.from([0xfe, 0xff]), encoding: 'utf-16be' }
] as const

/**
 * The deliveries that a file holds: one per line if it is NDJSON, otherwise the file as it is. A byte order mark is
 * not part of a delivery; text in UTF-16, which PowerShell writes, becomes UTF-8.
 *
 * It is NDJSON if its first line is a JSON value and more than one line is. A file that is named so is NDJSON as long
 * as it is not one JSON document on several lines. Blank lines are ignored.
 */
export function splitPayloads(file: Buffer, isNamedNdjson: boolean): readonly Buffer[] {
  const bytes = toUtf8(file)
  const lines = nonBlankLines(bytes)
  const [first] = lines
  if (first === undefined) return []
  if (lines.length === 1) return isNamedNdjson ? [first] : [bytes]
  const startsWithValue = isJson(first)
  const isNdjson = isNamedNdjson
    ? startsWithValue || !isJson(bytes)
    : startsWithValue && lines.slice(1).some(isJson)
  return isNdjson ? lines : [bytes]
}

function toUtf8(bytes: Buffer): Buffer {
  for (const { mark, encoding } of UTF16_MARKS) {
    // The decoder removes the mark.
    if (startsWith(bytes, mark)) return Buffer.from(new TextDecoder(encoding).decode(bytes), 'utf8')
  }
  return withoutMark(bytes)
}

/** Files that were joined have a mark at the start of each. */
const withoutMark = (bytes: Buffer): Buffer =>
  startsWith(bytes, UTF8_MARK) ? bytes.subarray(UTF8_MARK.length) : bytes

function nonBlankLines(bytes: Buffer): readonly Buffer[] {
  const lines: Buffer[] = []
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(LINE_FEED, start)
    const end = found === -1 ? bytes.length : found
    const line = trimmed(withoutMark(bytes.subarray(start, end)))
    if (line.length > 0) lines.push(line)
    start = end + 1
  }
  return lines
}

function trimmed(line: Buffer): Buffer {
  let start = 0
  let end = line.length
  while (start < end && isBlank(line[start])) start++
  while (start < end && isBlank(line[end - 1])) end--
  return line.subarray(start, end)
}

/** What JSON takes for white space. */
const isBlank = (byte: number | undefined): boolean =>
  byte === 32 || byte === 9 || byte === 13 || byte === LINE_FEED

const startsWith = (bytes: Buffer, mark: Buffer): boolean => bytes.subarray(0, mark.length).equals(mark)

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}
