import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DEFAULT_SOURCE } from '../config/sources.ts'
import { WEBHOOK_PATH } from '../receive/route.ts'
import { sampleEvent, sampleTypes } from '../send/samples.ts'
import { UsageError } from './command.ts'
import { isLoopback } from './target-url.ts'

/** What another machine gets a second without being asked for more. */
export const SMALL_RATE = 5
/** Samples are of so many people. */
const PEOPLE = 1000

/** Where a service on this machine listens. */
export const ownUrl = (source: string): string =>
  `http://localhost:${process.env['PORT'] ?? '3000'}${WEBHOOK_PATH}${source === DEFAULT_SOURCE ? '' : `/${source}`}`

export function bodies(
  { type, file, verbatim }: { type?: string | undefined; file?: string | undefined; verbatim: boolean },
  count: number
): (index: number) => Buffer {
  if (type !== undefined && file !== undefined) throw new UsageError('give --type or --file')
  const run = randomBytes(6).toString('hex')
  if (file !== undefined) {
    const bytes = readBody(file)
    const payload = verbatim || count === 1 ? undefined : jsonObject(bytes)
    return index =>
      payload === undefined
        ? bytes
        : Buffer.from(JSON.stringify({ ...payload, event_id: `sample-${run}-${index}` }))
  }
  const types = type === 'all' ? sampleTypes : [type ?? 'email.opened']
  const unknown = types.find(name => !sampleTypes.includes(name))
  if (unknown !== undefined)
    throw new UsageError(`--type ${unknown}: there is no such sample, --list shows all`)
  return index => {
    const name = types[index % types.length] ?? ''
    const event = sampleEvent(name, `sample-${run}-${index}`, index % PEOPLE, Math.floor(Date.now() / 1000))
    return Buffer.from(JSON.stringify(event))
  }
}

function readBody(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'unreadable'
    throw new UsageError(`--file ${file}: it can't be read (${code})`)
  }
}

function jsonObject(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
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
