import type { FastifyRequest } from 'fastify'
import { entryTimeMs } from '../log/position.ts'
import type { Logger } from '../ops/logger.ts'
import type { RedisClient } from '../redis/connect.ts'
import { writeWhileFull } from '../redis/write-while-full.ts'
import type { Person } from './access.ts'

/** One change, log-in or refusal. */
export interface AuditRecord {
  readonly atMs: number
  /** The identity from the proxy, the role where people share a password, or `-` for a refused log-in. */
  readonly who: string
  readonly role: Person['role'] | undefined
  /** What was done, such as `log_in` or `consumer_paused`. */
  readonly action: string
  /** On what: names and ids, never a payload or a secret. */
  readonly target: string
  readonly address: string
}

export interface Audit {
  /** Writes a log line, and adds a record to the stream. An error of Redis is logged: the log line is there. */
  record(entry: Omit<AuditRecord, 'atMs'>): Promise<void>
  /**
   * As `record`, for a refused log-in. Anybody can cause these, and must not be able to push the records of changes out
   * of the stream: it gets one per 10 minutes, which says how many were not added before it. The log has all of them.
   */
  recordRefusal(entry: Omit<AuditRecord, 'atMs'>): Promise<void>
  /** Newest first. @param before id of the last record of the previous page @throws the error of Redis */
  list(count: number, before?: string): Promise<readonly (AuditRecord & { readonly id: string })[]>
}

/** Records that Redis keeps. */
export const MAX_RECORDS = 10_000
/** `<source>/<event id>` has up to 321 characters. What a form names is not always known to exist. */
const MAX_TEXT_LENGTH = 512
/** Of IPv6 with a zone. */
const MAX_ADDRESS_LENGTH = 64
const REFUSAL_INTERVAL_MS = 10 * 60_000

/** @param now monotonic milliseconds */
export function createAudit(
  redis: RedisClient,
  keyPrefix: string,
  log: Logger,
  now = () => performance.now()
): Audit {
  const key = `${keyPrefix}console:audit`
  let refusalAddedMs = Number.NEGATIVE_INFINITY
  let refusalsNotAdded = 0

  async function add(entry: Omit<AuditRecord, 'atMs'>): Promise<void> {
    const { who, role = '', action, target, address } = entry
    const fields = ['who', who, 'role', role, 'action', action, 'target', target, 'address', address]
    try {
      // Also while memory is full: a drop that frees memory must be recorded too.
      await writeWhileFull(redis, 'xadd', key, ['MAXLEN', '=', MAX_RECORDS, '*', ...fields])
    } catch (error) {
      log.warn(
        { err: error },
        'console: the audit record is only in the log lines: Redis refused it or is down'
      )
    }
  }

  function logged({ target, address, ...others }: Omit<AuditRecord, 'atMs'>): Omit<AuditRecord, 'atMs'> {
    const entry = {
      ...others,
      target: target.slice(0, MAX_TEXT_LENGTH),
      // A proxy that passes x-forwarded-for on as it is lets anybody write it.
      address: address.slice(0, MAX_ADDRESS_LENGTH)
    }
    log.info({ audit: entry }, 'console: change or log-in')
    return entry
  }

  return {
    record: entry => add(logged(entry)),
    recordRefusal: async given => {
      const entry = logged(given)
      if (now() - refusalAddedMs < REFUSAL_INTERVAL_MS) {
        refusalsNotAdded++
        return
      }
      const before = refusalsNotAdded
      refusalAddedMs = now()
      refusalsNotAdded = 0
      await add(before === 0 ? entry : { ...entry, target: `${entry.target}, and ${before} more before` })
    },
    list: async (count, before) => {
      // XREVRANGE from before the first record would look at every record.
      const older = before === undefined ? [] : await redis.xrange(key, '-', `(${before}`, 'COUNT', 1)
      if (before !== undefined && older.length === 0) return []
      const entries = await redis.xrevrange(
        key,
        before === undefined ? '+' : `(${before}`,
        '-',
        'COUNT',
        count
      )
      return entries.map(([id, fields]) => ({ id, ...recordOf(id, fields) }))
    }
  }
}

function recordOf(id: string, fields: readonly string[]): AuditRecord {
  const at = (name: string): number => fields.findIndex((field, index) => index % 2 === 0 && field === name)
  const read = (name: string): string => (at(name) === -1 ? '' : (fields[at(name) + 1] ?? ''))
  const role = read('role')
  return {
    atMs: entryTimeMs(id),
    who: read('who'),
    role: role === 'operator' || role === 'viewer' ? role : undefined,
    action: read('action'),
    target: read('target'),
    address: read('address')
  }
}

/** Writes the audit record of a change. @param target names and ids, never a payload */
export const recordChange = (
  audit: Audit,
  { person, ip }: FastifyRequest,
  action: string,
  target: string
): Promise<void> =>
  audit.record({ who: person?.name ?? '-', role: person?.role, action, target, address: ip })
