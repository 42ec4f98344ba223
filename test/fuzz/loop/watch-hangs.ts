import { writeFileSync } from 'node:fs'
import { parentPort, Worker, workerData } from 'node:worker_threads'

/** Executions take microseconds; this long, on a machine that is busy with other things, none takes. */
const HANG_SECONDS = 40
const CHECK_MS = 1000

interface Shared {
  /** How many executions have begun; and the length of the present one's input. */
  readonly counters: Int32Array
  readonly input: Uint8Array
  readonly artifact: string
}

/**
 * A thread that ends the process, and writes down the input, when an execution does not end.
 *
 * @returns what is to be told of each execution before it begins
 */
export function watchHangs(maxBytes: number, artifact: string): (input: Buffer) => void {
  const counters = new Int32Array(new SharedArrayBuffer(8))
  const input = new Uint8Array(new SharedArrayBuffer(maxBytes))
  const shared: Shared = { counters, input, artifact }
  new Worker(new URL(import.meta.url), { workerData: shared }).unref()
  return bytes => {
    input.set(bytes.subarray(0, maxBytes))
    counters[1] = Math.min(bytes.length, maxBytes)
    Atomics.add(counters, 0, 1)
  }
}

if (parentPort !== null) watch(workerData as Shared)

function watch({ counters, input, artifact }: Shared): void {
  let last = -1
  let since = performance.now()
  setInterval(() => {
    const now = Atomics.load(counters, 0)
    if (now !== last) {
      last = now
      since = performance.now()
    } else if (performance.now() - since > HANG_SECONDS * 1000) {
      writeFileSync(artifact, input.slice(0, counters[1]))
      process.stderr.write(`hangs: ${artifact}\n`)
      process.kill(process.pid, 'SIGKILL')
    }
  }, CHECK_MS)
}
