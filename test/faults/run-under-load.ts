import { Redis } from 'ioredis'
import type { RedisClient } from '../../src/redis/connect.ts'
import type { Random } from '../helpers/random.ts'
import { until } from '../helpers/server.ts'
import { count, createLedger, type Ledger } from './ledger.ts'
import { type ExcusedSpan, evaluate, type LoggedEntry, readStreams, type Verdict } from './oracle.ts'
import { startReader } from './reader.ts'
import type { Replica } from './replica.ts'
import { type Sender, startSender } from './sender.ts'

/** The service under load. */
interface Target {
  /** The port for a sender, by its number; called for each delivery. */
  readonly port: (sender: number) => number
  readonly replicas: readonly Replica[]
  readonly partitions: number
  /** Opens a client to the Redis that has the log. */
  readonly connect: () => RedisClient
}

/** One replica that gets all deliveries. */
export const alone = (replica: Replica, partitions: number, connect: () => RedisClient): Target => ({
  port: () => replica.port,
  replicas: [replica],
  partitions,
  connect
})

export interface LoadOptions {
  readonly random: Random
  readonly senders?: number
  readonly gapMs?: number
  readonly replayShare?: number
  readonly replayDepth?: number
  readonly padding?: () => string
  /** Options of the reader. */
  readonly reading?: { readonly pageEntries: number }
}

export interface Load {
  readonly ledger: Ledger
  /** Counts a fault. */
  fault(name: string): void
  /** Excuses the loss of events delivered in this span. */
  excuse(span: ExcusedSpan): void
  /** Resolves when this many more events are acknowledged. */
  acknowledged(events: number): Promise<void>
  /** Resolves when this many more deliveries are refused with 503. */
  refused(deliveries: number): Promise<void>
}

export interface Observed {
  readonly ledger: Ledger
  readonly verdict: Verdict
  readonly faults: ReadonlyMap<string, number>
  readonly processErrors: readonly string[]
  /** Why the replicas refused deliveries with 503, as far as their kept output reaches. */
  readonly refusalReasons: Readonly<Record<string, number>>
  readonly seconds: number
  /** Why the run was not completed. */
  readonly failure: string | undefined
}

/** If a step of a run takes longer, the run has failed. */
const STEP_TIMEOUT_MS = 90_000
const FRESH_EVENTS = 3

/**
 * Delivers events while `inject` injects faults. Then waits until every event is acknowledged, delivers new ones, waits
 * until the reader has read everything, and evaluates the log.
 */
export async function runUnderLoad(
  target: Target,
  options: LoadOptions,
  inject: (load: Load) => Promise<void>
): Promise<Observed> {
  const { random, senders = 6, gapMs = 6, reading, ...forSenders } = options
  const startedMs = performance.now()
  const ledger = createLedger()
  const faults = new Map<string, number>()
  const excused: ExcusedSpan[] = []
  const streams = Array.from({ length: target.partitions }, (_, partition) => `cio:events:{${partition}}`)
  const reader = await startReader(streams, target.connect, reading)
  const start = (name: string, number: number, events?: number): Sender =>
    startSender({
      name: `${name}${number}`,
      port: () => target.port(number),
      ledger,
      random,
      gapMs,
      ...(events === undefined ? {} : { events }),
      ...forSenders
    })
  const running = Array.from({ length: senders }, (_, number) => start('s', number))

  const load: Load = {
    ledger,
    fault: name => count(faults, name),
    excuse: span => void excused.push(span),
    acknowledged: async events => {
      const wanted = ledger.acknowledged + events
      await until(
        `${events} more events are acknowledged`,
        async () => ledger.acknowledged >= wanted,
        STEP_TIMEOUT_MS
      )
    },
    refused: async deliveries => {
      const refusals = (): number => ledger.answers.get('503') ?? 0
      const wanted = refusals() + deliveries
      await until('deliveries are refused', async () => refusals() >= wanted, STEP_TIMEOUT_MS)
    }
  }
  let fresh: Sender[] = []
  let failure: string | undefined
  let entries: LoggedEntry[] = []
  try {
    await load.acknowledged(senders)
    await inject(load)
    await within('every event is acknowledged', Promise.all(running.map(sender => sender.stop())))
    fresh = running.map((_, number) => start('fresh', number, FRESH_EVENTS))
    await within('new events are acknowledged', Promise.all(fresh.map(({ finished }) => finished)))
    await reader.caughtUp()
    entries = await readAll()
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error)
    for (const sender of [...running, ...fresh]) sender.abandon()
    // The entries that can be read are evaluated nevertheless.
    entries = await readAll().catch(() => [])
  }
  await reader.stop()
  const readIds = new Set([...reader.entries.values()].map(({ eventId }) => eventId))
  return {
    ledger,
    verdict: evaluate(ledger, entries, readIds, excused),
    faults,
    processErrors: target.replicas.flatMap(({ processErrors }) => processErrors),
    refusalReasons: refusalReasonsOf(target.replicas.map(replica => replica.output()).join('')),
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
    failure
  }

  async function readAll(): Promise<LoggedEntry[]> {
    const client = target.connect()
    try {
      return await readStreams(client, streams, reader.entries.values(), excused)
    } finally {
      client.disconnect()
    }
  }
}

/** @param output log lines of replicas */
function refusalReasonsOf(output: string): Readonly<Record<string, number>> {
  const reasons = new Map<string, number>()
  for (const line of output.split('\n')) {
    if (!line.includes('"outcome":"unavailable"')) continue
    count(reasons, /"reason":"(\w+)"/.exec(line)?.[1] ?? 'none')
  }
  return Object.fromEntries(reasons)
}

/**
 * A client of the Redis on this port. It never sends a command again: after a lost reply to XREADGROUP the entries are
 * pending, and the reader reads those first.
 */
export function connectTo(port: number): Redis {
  const client = new Redis({ port, host: '127.0.0.1', ...CLIENT_OPTIONS })
  client.on('error', () => {})
  return client
}

export const CLIENT_OPTIONS = {
  retryStrategy: () => 100,
  commandTimeout: 10_000,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0
} as const

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), STEP_TIMEOUT_MS)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
