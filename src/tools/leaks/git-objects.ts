// Tested by test/tools/leaks/git-history.slow.test.ts.
import type { Detector, Leak } from './detector.ts'
import { type Git, ScanError, splitAt, textsOf } from './git.ts'
import { countNewlines, createStreamScanner, type StreamScanner } from './stream-scanner.ts'

const OBJECT_TYPES = ['blob', 'commit', 'tag'] as const

/** A leak in one object of a repository. */
export interface ObjectLeak {
  readonly oid: string
  readonly type: (typeof OBJECT_TYPES)[number]
  /** In a commit or tag the line of its message; below 1 in the header. */
  readonly line: number
  /** Of an annotated tag. */
  readonly tagName: string | undefined
  readonly leak: Leak
}

const NEWLINE = 10
/** Ids that are yielded together. */
const BATCH_IDS = 512

/**
 * Ids of all objects that git has, reachable or not, in the order of its packs, which is the fastest to read. Trees
 * (lists of names) are left out.
 *
 * @param onSeen called now and then with the number of objects so far, trees included
 * @yields several ids, each followed by a line break
 * @throws ScanError when git cannot read an object
 */
export async function* listObjects(git: Git, onSeen: (objects: number) => void): AsyncGenerator<string> {
  const format = '--batch-check=%(objecttype) %(objectname)'
  const listed = git.stream(['cat-file', format, '--batch-all-objects', '--unordered', '--buffer'])
  let batch: string[] = []
  let seen = 0
  for await (const line of textsOf(splitAt(listed, NEWLINE))) {
    seen++
    const [type = '', oid = ''] = line.split(' ')
    if (type === 'tree') continue
    if (typeOf(type) === undefined) throw new ScanError(`git cannot read an object: ${line}`)
    if (batch.push(oid) < BATCH_IDS) continue
    yield `${batch.join('\n')}\n`
    onSeen(seen)
    batch = []
  }
  if (batch.length > 0) yield `${batch.join('\n')}\n`
  onSeen(seen)
}

/**
 * Searches objects in bounded memory.
 *
 * @param oids ids, each followed by a line break
 * @throws ScanError when git cannot read one of them
 */
export async function scanObjects(
  git: Git,
  oids: AsyncIterable<string> | Iterable<string>,
  detector: Detector,
  onLeak: (found: ObjectLeak) => void
): Promise<void> {
  const output = git.stream(['cat-file', '--batch', '--buffer'], oids)
  let header = ''
  let scan: StreamScanner | undefined
  /** Bytes of the current object that have not arrived, with the line break after it. */
  let remaining = 0

  for await (const piece of output) {
    let at = 0
    while (at < piece.length) {
      if (scan === undefined) {
        const end = piece.indexOf(NEWLINE, at)
        header += piece.toString('latin1', at, end === -1 ? piece.length : end)
        if (end === -1) break
        at = end + 1
        const object = parseHeader(header)
        header = ''
        remaining = object.size + 1
        scan = scanObject(detector, object, onLeak)
      }
      const taken = Math.min(remaining, piece.length - at)
      const isComplete = taken === remaining
      const body = piece.subarray(at, at + taken - (isComplete ? 1 : 0))
      // Empty if only the line break was missing.
      if (body.length > 0) scan.push(body)
      at += taken
      remaining -= taken
      if (isComplete) {
        scan.end()
        scan = undefined
      }
    }
  }
  if (scan !== undefined || header !== '')
    throw new ScanError('git cat-file ended in the middle of an object')
}

function parseHeader(header: string) {
  const [, oid = '', type, size] = /^([0-9a-f]+) (\w+) (\d+)$/.exec(header) ?? []
  const known = typeOf(type)
  if (known === undefined) throw new ScanError(`git cannot read an object: ${header}`)
  return { oid, type: known, size: Number(size) }
}

const typeOf = (name: string | undefined): ObjectLeak['type'] | undefined =>
  OBJECT_TYPES.find(type => type === name)

function scanObject(
  detector: Detector,
  { oid, type }: Pick<ObjectLeak, 'oid' | 'type'>,
  onLeak: (found: ObjectLeak) => void
): StreamScanner {
  if (type === 'blob') {
    return createStreamScanner(detector, ({ line, leak }) =>
      onLeak({ oid, type, line, leak, tagName: undefined })
    )
  }
  let headerLines = 0
  let tagName: string | undefined
  return createStreamScanner(
    detector,
    ({ line, leak }) => onLeak({ oid, type, line: line - headerLines, tagName, leak }),
    region => {
      const end = region.indexOf('\n\n')
      const head = end === -1 ? region.length : end
      headerLines = countNewlines(region, 0, head) + (end === -1 ? 1 : 2)
      tagName = /^tag (.+)$/m.exec(region.toString('utf8', 0, head))?.[1]
    }
  )
}
