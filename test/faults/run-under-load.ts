import { Redis } from 'ioredis'
import type { RedisClient } from '../../src/redis/connect.ts'
import { until } from '../helpers/server.ts'
import { count, createLedger, type Ledger } from './ledger.ts'
import { type JudgedEntry, judge, readStreams, type Verdict, type VoidSpan } from './oracle.ts'
import type { Random } from './random.ts'
import { startReader } from './reader.ts'
import type { Replica } from './replica.ts'
import { type Sender, startSender } from './sender.ts'

/** What is under load: how to reach it, and how to look into what it has written. */
export interface Target {
  /** The port of each sender, by its number; asked at each delivery. */
  readonly port: (sender: number) => number
  readonly replicas: readonly Replica[]
  readonly partitions: number
  /** A client of whoever holds the log now. */
  readonly connect: () => RedisClient
}

/** One replica, to which every sender sends. */
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
  /** How the consumer reads. */
  readonly reading?: { readonly pageEntries: number }
}

/** Passed to what brings the faults. */
export interface Load {
  readonly ledger: Ledger
  /** Counts a fault by its name. */
  fault(name: string): void
  /** Excuses what was acknowledged in this span and is gone. */
  excuse(span: VoidSpan): void
  /** Resolves once this many further events were acknowledged. */
  acknowledged(events: number): Promise<void>
}

export interface Observed {
  readonly ledger: Ledger
  readonly verdict: Verdict
  readonly faults: ReadonlyMap<string, number>
  readonly misdeeds: readonly string[]
  readonly seconds: number
  /** Why the run could not be brought to its end, if so. */
  readonly broke: string | undefined
}

/** Nothing in a run takes longer than this unless it has failed. */
const PATIENCE_MS = 90_000
const FRESH_EVENTS = 3

/**
 * Sends while `act` brings the faults; then lets every sender finish, sends what is new, lets the consumer catch
 * up, and judges.
 */
export async function runUnderLoad(
  target: Target,
  options: LoadOptions,
  act: (load: Load) => Promise<void>
): Promise<Observed> {
  const { random, senders = 6, gapMs = 6, reading, ...forSenders } = options
  const startedMs = performance.now()
  const ledger = createLedger()
  const faults = new Map<string, number>()
  const voids: VoidSpan[] = []
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
    excuse: span => void voids.push(span),
    acknowledged: async events => {
      const wanted = ledger.acknowledged + events
      await until(`${events} further events`, async () => ledger.acknowledged >= wanted, PATIENCE_MS)
    }
  }
  let fresh: Sender[] = []
  let broke: string | undefined
  let entries: JudgedEntry[] = []
  try {
    await load.acknowledged(senders)
    await act(load)
    await within('every sender finishing', Promise.all(running.map(sender => sender.stop())))
    fresh = running.map((_, number) => start('fresh', number, FRESH_EVENTS))
    await within('new events', Promise.all(fresh.map(({ finished }) => finished)))
    await reader.caughtUp()
    entries = await readAll()
  } catch (error) {
    broke = error instanceof Error ? error.message : String(error)
    for (const sender of [...running, ...fresh]) sender.abandon()
    // What can be read is judged all the same.
    entries = await readAll().catch(() => [])
  }
  await reader.stop()
  const seen = new Set([...reader.taken.values()].map(({ eventId }) => eventId))
  return {
    ledger,
    verdict: judge(ledger, entries, seen, voids),
    faults,
    misdeeds: target.replicas.flatMap(({ misdeeds }) => misdeeds),
    seconds: Math.round((performance.now() - startedMs) / 100) / 10,
    broke
  }

  async function readAll(): Promise<JudgedEntry[]> {
    const client = target.connect()
    try {
      return await readStreams(client, streams, reader.taken.values(), voids)
    } finally {
      client.disconnect()
    }
  }
}

/**
 * A client that looks into Redis on this port. It never sends a command again: a read whose answer got lost has
 * been delivered to its group all the same, and only the reader knows to ask for it.
 */
export function connectTo(port: number): Redis {
  const client = new Redis({ port, host: '127.0.0.1', ...LOOKING })
  client.on('error', () => {})
  return client
}

export const LOOKING = {
  retryStrategy: () => 100,
  commandTimeout: 10_000,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0
} as const

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`never came: ${what}`)), PATIENCE_MS)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
