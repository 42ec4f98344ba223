import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { errorCode } from '../../errors.ts'
import { stringifyExactly, withExactNumbers } from '../../exact-json.ts'
import { WEBHOOK_PATH } from '../../receive/route.ts'
import { DEFAULT_SOURCE, type Scheme } from '../../settings/sources.ts'
import { type Assignment, assign, isObject, parseAssignment } from '../../tools/send/assignments.ts'
import { splitPayloads } from '../../tools/send/payloads.ts'
import { sampleEvent, sampleTypes } from '../../tools/send/samples.ts'
import { SCHEMES } from '../../tools/send/sign.ts'
import { UsageError } from '../command.ts'
import { isLoopback } from '../target-url.ts'

/** What another machine gets a second without being asked for more. */
export const SMALL_RATE = 5
/** Samples are of so many people. */
const PEOPLE = 1000

/** Where a service on this machine listens. */
export const ownUrl = (source: string, port: number): string =>
  `http://localhost:${port}${WEBHOOK_PATH}${source === DEFAULT_SOURCE ? '' : `/${source}`}`

export interface Deliveries {
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
  if (type !== undefined && file !== undefined) throw new UsageError('give --type or --file')
  if (verbatim && options.set.length > 0) throw new UsageError('give --set or --verbatim')
  const assignments = options.set.map(readAssignment)
  const run = randomBytes(6).toString('hex')
  const newId = (index: number): string => `sample-${run}-${index}`
  if (file === undefined) return { count: count ?? 1, body: sampleBodies(type, assignments, newId) }

  const bytes = await readBytes(file)
  const payloads = verbatim ? [bytes] : splitPayloads(bytes, /\.(ndjson|jsonl)$/i.test(file))
  if (payloads.length === 0) throw new UsageError(`--file ${file}: there is nothing in it to send`)
  const total = count ?? payloads.length
  // What is sent more than once has to differ, or all but the first would be duplicates.
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
  if (unknown !== undefined)
    throw new UsageError(`--type ${unknown}: there is no such sample, --list shows all`)
  return index => {
    const name = types[index % types.length] ?? ''
    const event = sampleEvent(name, newId(index), index % PEOPLE, Math.floor(Date.now() / 1000))
    if (assignments.length === 0) return Buffer.from(JSON.stringify(event))
    return Buffer.from(stringifyExactly(assignAll(event, assignments, `--type ${name}`)))
  }
}

/** @returns what makes the body under a new event id; where nothing is to change, always the payload as it is */
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
    throw new UsageError(`--file ${file}: it can't be read (${code})`)
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

export function readWhole(name: string, text: string, max: number): number {
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < 1 || value > max) {
    throw new UsageError(`--${name} ${text}: give a whole number from 1 to ${max}`)
  }
  return value
}

export function readRate(text: string | undefined, url: URL, loadTest: boolean): number | undefined {
  const mayAll = loadTest || isLoopback(url)
  if (text === undefined) return mayAll ? undefined : SMALL_RATE
  const value = Number(text)
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text) || value <= 0) {
    throw new UsageError(`--rate ${text}: give deliveries a second, such as 50 or 0.5`)
  }
  if (value > SMALL_RATE && !mayAll) {
    throw new UsageError(
      `--rate ${text}: ${url.host} is another machine; more than ${SMALL_RATE} a second is a load test. If you may do that, say --yes-load-test`
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
