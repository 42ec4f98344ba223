const LINE_FEED = 10
const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const UTF16_MARKS = [
  { mark: Buffer.from([0xff, 0xfe]), encoding: 'utf-16le' },
  { mark: Buffer.from([0xfe, 0xff]), encoding: 'utf-16be' }
] as const

/**
 * The deliveries in a file: one per line if it is NDJSON, otherwise the whole file. A byte order mark is removed; UTF-16,
 * which PowerShell writes, becomes UTF-8.
 *
 * A file is NDJSON if its first line and at least one other line are JSON values. A file with the name of an NDJSON file
 * is one, unless it is one JSON document on several lines. Blank lines are ignored.
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
  const utf16 = UTF16_MARKS.find(({ mark }) => startsWith(bytes, mark))
  // The decoder removes the mark.
  return utf16 === undefined ? withoutMark(bytes) : Buffer.from(new TextDecoder(utf16.encoding).decode(bytes))
}

/** Concatenated files have a mark at the start of each. */
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

/** The white space of JSON. */
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
