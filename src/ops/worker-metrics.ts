// Tested by test/ops/worker-metrics.test.ts and test/workers.slow.test.ts.
import type { Worker } from 'node:cluster'
import { AggregatorRegistry, type Registry } from 'prom-client'
import { withTimeout } from '../async/abort.ts'
import { singleFlight } from '../async/single-flight.ts'

/** The metrics of one worker, as prom-client gives them. */
type WorkerMetrics = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** A worker asks the primary for `all`, which asks each worker for its `own`. The answers have the same type. */
const MESSAGE = { all: 'cio-webhook:all-metrics', own: 'cio-webhook:own-metrics' } as const

/** A scrape is answered within 3.5 s, also if a worker hangs (law 7). */
const LIMIT_MS = 3000

/**
 * In the primary: answers the scrapes that workers receive. Why not prom-client's cluster support:
 * docs/decisions/small-parts.md.
 *
 * @returns adds a worker that was started
 */
export function combineMetrics(): (worker: Worker) => void {
  const sum = createMetricsSum<Worker>()
  const receiving = new Set<Worker>()
  /** Those that have not answered yet. */
  const asked = new Map<Worker, Promise<void>>()
  const readAll = singleFlight(async () => {
    const answers = await withTimeout(LIMIT_MS, Promise.all([...receiving].map(ask)))
    return answers && sum.text()
  })

  return worker => {
    worker.once('listening', () => receiving.add(worker))
    worker.once('exit', () => {
      receiving.delete(worker)
      sum.end(worker)
    })
    worker.on('message', message => {
      if (isAllMetrics(message)) void answer(worker)
      // A message can come after the exit of its worker, whose counts would then be in the sum twice.
      else if (isOwnMetrics(message) && receiving.has(worker)) sum.set(worker, message.metrics)
    })
  }

  async function answer(worker: Worker): Promise<void> {
    const text = await readAll().catch(() => undefined)
    send(worker, { type: MESSAGE.all, text })
  }

  /** Resolves when the worker has answered or ended. */
  function ask(worker: Worker): Promise<void> {
    const running = asked.get(worker)
    if (running !== undefined) return running
    const answered = new Promise<void>(resolve => {
      const receive = (message: unknown): void => {
        if (isOwnMetrics(message)) end()
      }
      const end = (): void => {
        worker.off('message', receive)
        worker.off('exit', end)
        asked.delete(worker)
        resolve()
      }
      worker.on('message', receive)
      worker.once('exit', end)
    })
    asked.set(worker, answered)
    send(worker, { type: MESSAGE.own })
    return answered
  }
}

/** A worker that has just ended cannot be reached, which must not be an error of the primary. */
function send(worker: Worker, message: object): void {
  if (worker.isConnected()) worker.send(message, () => {})
}

/** In a worker: shares its metrics with the primary. @returns reads the metrics of all workers from the primary */
export function shareMetrics(register: Registry): () => Promise<string> {
  process.on('message', message => {
    // Without an answer the scrape fails.
    if (isOwnMetricsRequest(message)) void sendOwn(register).catch(() => {})
  })
  return singleFlight(
    () =>
      new Promise((resolve, reject) => {
        const receive = (message: unknown): void => {
          if (!isAllMetrics(message)) return
          process.off('message', receive)
          if (message.text === undefined) reject(new Error('a worker does not answer'))
          else resolve(message.text)
        }
        process.on('message', receive)
        process.send?.({ type: MESSAGE.all })
      })
  )
}

async function sendOwn(register: Registry): Promise<void> {
  process.send?.({ type: MESSAGE.own, metrics: await register.getMetricsAsJSON() })
}

/** The metrics of several workers together. */
interface MetricsSum<Key> {
  /** Replaces what is known of a worker. */
  set(worker: Key, metrics: WorkerMetrics): void
  /** What the worker has counted stays in the sum: Prometheus would take a smaller sum for a restart, and count all of it again. */
  end(worker: Key): void
  /** In the text format. */
  text(): Promise<string>
}

/** The key of a worker is anything that is the same each time. */
export function createMetricsSum<Key>(): MetricsSum<Key> {
  const latest = new Map<Key, WorkerMetrics>()
  const ended: WorkerMetrics[] = []
  return {
    set: (worker, metrics) => void latest.set(worker, metrics),
    end: worker => {
      const counts = latest.get(worker)?.filter(isCumulative)
      latest.delete(worker)
      if (counts !== undefined) ended.push(counts)
    },
    text: async () => {
      const all = ended.splice(0)
      if (all.length > 0) ended.push(await AggregatorRegistry.aggregate(all).getMetricsAsJSON())
      return AggregatorRegistry.aggregate([...latest.values(), ...ended]).metrics()
    }
  }
}

/** The types of prom-client say that `type` is a number. */
const isCumulative = ({ type }: WorkerMetrics[number]): boolean =>
  ['counter', 'histogram'].includes(String(type))

const isOwnMetricsRequest = (message: unknown): boolean => hasType(message, MESSAGE.own)

const isOwnMetrics = (message: unknown): message is { readonly metrics: WorkerMetrics } =>
  hasType(message, MESSAGE.own) && 'metrics' in message

const isAllMetrics = (message: unknown): message is { readonly text?: string } =>
  hasType(message, MESSAGE.all)

const hasType = (message: unknown, type: string): message is object =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === type
