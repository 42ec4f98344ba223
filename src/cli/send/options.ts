// Tested by test/cli/send/command.slow.test.ts.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isLoopbackHost } from '../../address.ts'
import { errorCode } from '../../errors.ts'
import { stringifyExactly, withExactNumbers } from '../../exact-json.ts'
import { WEBHOOK_PATH } from '../../receive/route.ts'
import { DEFAULT_SOURCE, type Scheme } from '../../settings/sources.ts'
import { type Assignment, assign, isObject, parseAssignment } from '../../tools/send/assignments.ts'
import { splitPayloads } from '../../tools/send/payloads.ts'
import { sampleEvent, sampleTypes } from '../../tools/send/samples.ts'
import { SCHEMES } from '../../tools/send/sign.ts'
import { UsageError } from '../command.ts'

/** Deliveries per second to a non-local host without --yes-load-test. */
export const SMALL_RATE = 5
/** Number of distinct sample customers. */
const PEOPLE = 1000

/** The URL of the service on this machine. */
export const ownUrl = (source: string, port: number): string =>
  `http://localhost:${port}${WEBHOOK_PATH}${source === DEFAULT_SOURCE ? '' : `/${source}`}`

interface Deliveries {
  readonly count: number
  /** The body of the n-th delivery. */
  readonly body: (index: number) => Buffer
}

/** @param count `undefined`: each line of an NDJSON file once, everything else once */
export async function readDeliveries(
  options: {
    readonly type?: string | undefined
    readonly file?: string | undefined
    readonly set: readonly string[]
    readonly verbatim: boolean
  },
  count: number | undefined
): Promise<Deliveries> {
  const { type, file, verbatim } = options
  if (type !== undefined && file !== undefined) throw new UsageError('give either --type or --file')
  if (verbatim && options.set.length > 0) throw new UsageError('give either --set or --verbatim')
  const assignments = options.set.map(readAssignment)
  const run = randomBytes(6).toString('hex')
  const newId = (index: number): string => `sample-${run}-${index}`
  if (file === undefined) return { count: count ?? 1, body: sampleBodies(type, assignments, newId) }

  const bytes = await readBytes(file)
  const payloads = verbatim ? [bytes] : splitPayloads(bytes, /\.(ndjson|jsonl)$/i.test(file))
  if (payloads.length === 0) throw new UsageError(`--file ${file}: the file is empty`)
  const total = count ?? payloads.length
  // With the same id, all but the first would be duplicates.
  const needsIds = !verbatim && total > payloads.length
  const makers = payloads.map((payload, index) =>
    payloadMaker(payload, `--file ${file}, delivery ${index + 1}`, assignments, needsIds)
  )
  return { count: total, body: index => makers[index % makers.length]?.(newId(index)) ?? bytes }
}

function sampleBodies(
  type: string | undefined,
  assignments: readonly Assignment[],
  newId: (index: number) => string
): Deliveries['body'] {
  const types = type === 'all' ? sampleTypes : [type ?? 'email.opened']
  const unknown = types.find(name => !sampleTypes.includes(name))
  if (unknown !== undefined) throw new UsageError(`--type ${unknown}: no such sample, --list lists them`)
  return index => {
    const name = types[index % types.length] ?? ''
    const event = sampleEvent(name, newId(index), index % PEOPLE, Math.floor(Date.now() / 1000))
    if (assignments.length === 0) return Buffer.from(JSON.stringify(event))
    return Buffer.from(stringifyExactly(assignAll(event, assignments, `--type ${name}`)))
  }
}

/** @returns a function from an event id to a body; if nothing is to be changed, the body is the payload */
function payloadMaker(
  payload: Buffer,
  name: string,
  assignments: readonly Assignment[],
  needsId: boolean
): (id: string) => Buffer {
  if (!needsId && assignments.length === 0) return () => payload
  const object = jsonObject(payload)
  if (object === undefined) {
    if (assignments.length > 0) throw new UsageError(`${name}: --set needs a JSON object`)
    return () => payload
  }
  // Serialized once: only the id differs from delivery to delivery.
  const placeholder = randomBytes(16).toString('hex')
  const event = needsId ? { ...object, event_id: placeholder } : object
  const text = stringifyExactly(assignAll(event, assignments, name))
  const [head = '', tail] = text.split(`"${placeholder}"`)
  return id => Buffer.from(tail === undefined ? text : `${head}${JSON.stringify(id)}${tail}`)
}

function assignAll(event: unknown, assignments: readonly Assignment[], name: string): unknown {
  try {
    return assignments.reduce<unknown>((changed, assignment) => assign(changed, assignment), event)
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`${name}: ${error.message}`)
    throw error
  }
}

function readAssignment(text: string): Assignment {
  const assignment = parseAssignment(text)
  if (assignment === undefined)
    throw new UsageError(`--set ${text}: give a path and a value, such as data.customer_id=42`)
  return assignment
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return file === '-' ? Buffer.concat(await process.stdin.toArray()) : await readFile(file)
  } catch (error) {
    const code = errorCode(error) ?? 'unreadable'
    throw new UsageError(`--file ${file}: cannot read it (${code})`)
  }
}

function jsonObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  const text = bytes.toString('utf8')
  try {
    const value = withExactNumbers(JSON.parse(text), text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function readScheme(text: string): Scheme {
  const scheme = SCHEMES.find(name => name === text)
  if (scheme === undefined) throw new UsageError(`--scheme ${text}: give v0, body or cdp`)
  return scheme
}

export function readRate(text: string | undefined, url: URL, loadTest: boolean): number | undefined {
  const mayAll = loadTest || isLoopbackHost(url.hostname)
  if (text === undefined) return mayAll ? undefined : SMALL_RATE
  const value = Number(text)
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text) || value <= 0) {
    throw new UsageError(`--rate ${text}: give deliveries per second, such as 50 or 0.5`)
  }
  if (value > SMALL_RATE && !mayAll) {
    throw new UsageError(
      `--rate ${text}: more than ${SMALL_RATE} requests/s to ${url.host} is a load test of a non-local host: if you are authorised, add --yes-load-test`
    )
  }
  return value
}

export function readShare(text: string): number {
  const percent = Number(text.replace(/%$/, ''))
  if (!/^\d{1,2}(\.\d{1,3})?%$/.test(text))
    throw new UsageError(`--duplicates ${text}: give a share from 0% to 99%`)
  return percent / 100
}
