import cluster, { type Worker } from 'node:cluster'
import { parseArgs } from 'node:util'
import { AggregatorRegistry, type Registry } from 'prom-client'
import { ConfigError } from './errors.ts'
import type { Logger } from './ops/logger.ts'

/** What the primary tells a worker, on its command line. */
export interface WorkerOrders {
  /** One worker looks after the log: retention, and what is remembered. */
  readonly maintains: boolean
  /** The unix socket of the private Redis, where there is one. */
  readonly redisSocket: string | undefined
}

export interface Workers {
  /** Resolves with the port once every worker listens. */
  readonly listening: Promise<number>
  /** Ends the workers, each as it would end alone, and resolves when the last one is gone. */
  close(): Promise<void>
}

/** A worker that dies at once would otherwise be started thousands of times a second. */
const RESTART_DELAY_MS = 1000

const METRICS_REQUEST = 'cio-webhook:metrics'

/** Starts the workers, and each of them again when it dies. */
export function startWorkers(count: number, redisSocket: string | undefined, log: Logger): Workers {
  // Each takes its connections from the kernel. Handed out by this process, one that is on its way to a worker when
  // that is killed would be answered by nobody.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const aggregate = new AggregatorRegistry()
  const living = new Set<Worker>()
  let closing = false
  const ports = Array.from({ length: count }, (_, slot) => start(slot))

  return {
    listening: Promise.all(ports).then(([port = 0]) => port),
    close: async () => {
      closing = true
      await Promise.all([...living].map(end))
    }
  }

  function start(slot: number): Promise<number> {
    const socket = redisSocket === undefined ? [] : ['--redis-socket', redisSocket]
    cluster.setupPrimary({ args: ['serve', ...(slot === 0 ? ['--maintains'] : []), ...socket] })
    const worker = cluster.fork()
    living.add(worker)
    worker.on('message', message => {
      if (message === METRICS_REQUEST) void answerMetrics(worker)
    })
    worker.once('exit', () => living.delete(worker))
    return new Promise((resolve, reject) => {
      worker.once('listening', address => resolve(address.port))
      worker.once('exit', (code, signal) => {
        if (closing) return
        log.error({ worker: worker.process.pid, code, signal }, 'a worker died: starting another')
        // What it refuses itself the next one refuses too, and that ends the start. Killed it says nothing of that:
        // the others are receiving by now.
        if (signal === null) {
          reject(new ConfigError('a worker ended before it listened: its own line says why'))
        }
        setTimeout(() => closing || startAgain(slot).then(resolve, reject), RESTART_DELAY_MS)
      })
    })
  }

  async function startAgain(slot: number): Promise<number> {
    const port = await start(slot)
    log.warn({ slot }, 'another worker receives in place of one that died')
    return port
  }

  async function answerMetrics(worker: Worker): Promise<void> {
    const text = await aggregate.clusterMetrics().catch(() => '')
    if (worker.isConnected()) worker.send({ type: METRICS_REQUEST, text })
  }
}

function end(worker: Worker): Promise<void> {
  return new Promise(resolve => {
    worker.once('exit', () => resolve())
    worker.process.kill('SIGTERM')
  })
}

/** @returns `undefined` in a process that is no worker */
export function workerOrders(argv: readonly string[]): WorkerOrders | undefined {
  if (!cluster.isWorker) return undefined
  const { values } = parseArgs({
    args: argv.slice(3),
    options: { maintains: { type: 'boolean', default: false }, 'redis-socket': { type: 'string' } }
  })
  return { maintains: values.maintains, redisSocket: values['redis-socket'] }
}

/** In a worker: lends its metrics to the primary, and reads those of all workers from it. */
export function shareMetrics(register: Registry): () => Promise<string> {
  new AggregatorRegistry() // listens for the primary's questions
  AggregatorRegistry.setRegistries([register])
  return () =>
    new Promise(resolve => {
      const answered = (message: unknown): void => {
        if (!isMetricsAnswer(message)) return
        process.off('message', answered)
        resolve(message.text)
      }
      process.on('message', answered)
      process.send?.(METRICS_REQUEST)
    })
}

const isMetricsAnswer = (message: unknown): message is { readonly text: string } =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === METRICS_REQUEST
