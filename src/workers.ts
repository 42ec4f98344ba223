import cluster, { type Worker } from 'node:cluster'
import { parseArgs } from 'node:util'
import { ConfigError } from './errors.ts'
import type { Logger } from './ops/logger.ts'
import { combineMetrics } from './ops/worker-metrics.ts'

/** Passed by the primary to a worker, on its command line. */
export interface WorkerArgs {
  /** Whether this worker keeps the log within its limits and dispatches. One of them does. */
  readonly runsMaintenance: boolean
  /** The unix socket of the private Redis, if there is one. */
  readonly redisSocket: string | undefined
}

interface Workers {
  /** Resolves with the port once every worker listens. */
  readonly listening: Promise<number>
  /** Ends every worker with SIGTERM, and resolves when the last one has ended. */
  close(): Promise<void>
}

/** Otherwise a worker that ends at once would be started thousands of times per second. */
const RESTART_DELAY_MS = 1000

/** Starts the workers, and replaces each of them that ends. */
export function startWorkers(count: number, redisSocket: string | undefined, log: Logger): Workers {
  // Each worker accepts its own connections from the kernel. With the default policy this process passes connections
  // to the workers: if a worker is killed at that moment, they get no answer.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const addToMetrics = combineMetrics()
  const workers = new Set<Worker>()
  let closing = false
  const ports = Array.from({ length: count }, (_, slot) => start(slot))

  return {
    listening: Promise.all(ports).then(([port = 0]) => port),
    close: async () => {
      closing = true
      await Promise.all([...workers].map(end))
    }
  }

  function start(slot: number): Promise<number> {
    const maintenance = slot === 0 ? ['--maintenance'] : []
    const socket = redisSocket === undefined ? [] : ['--redis-socket', redisSocket]
    // JSON would make 0 of a NaN in the metrics.
    cluster.setupPrimary({ args: ['serve', ...maintenance, ...socket], serialization: 'advanced' })
    const worker = cluster.fork()
    workers.add(worker)
    addToMetrics(worker)
    worker.once('exit', () => workers.delete(worker))
    return new Promise((resolve, reject) => {
      worker.once('listening', address => resolve(address.port))
      worker.once('exit', (code, signal) => {
        if (closing) return
        log.error(
          { worker: worker.process.pid, code, signal },
          'worker ended unexpectedly; starting a replacement'
        )
        // A worker that exits by itself before it listens (bad configuration) would exit again: the start fails. A
        // killed one is replaced: the others may be receiving already.
        if (signal === null) {
          reject(new ConfigError('a worker exited before it listened: see its own log line for the cause'))
        }
        setTimeout(() => closing || replace(slot).then(resolve, reject), RESTART_DELAY_MS)
      })
    })
  }

  async function replace(slot: number): Promise<number> {
    const port = await start(slot)
    log.warn({ slot }, 'replacement worker is ready')
    return port
  }
}

function end(worker: Worker): Promise<void> {
  return new Promise(resolve => {
    worker.once('exit', () => resolve())
    worker.process.kill('SIGTERM')
  })
}

/** @returns `undefined` in a process that is not a worker */
export function workerArgs(argv: readonly string[]): WorkerArgs | undefined {
  if (!cluster.isWorker) return undefined
  const { values } = parseArgs({
    args: argv.slice(3),
    options: { maintenance: { type: 'boolean', default: false }, 'redis-socket': { type: 'string' } }
  })
  return { runsMaintenance: values.maintenance, redisSocket: values['redis-socket'] }
}
