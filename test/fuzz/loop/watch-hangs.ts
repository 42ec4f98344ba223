import { writeFileSync } from 'node:fs'
import { parentPort, Worker, workerData } from 'node:worker_threads'

/** Executions take microseconds; none takes this long, even on a busy machine. */
const HANG_SECONDS = 40
const CHECK_MS = 1000

interface Shared {
  /** Number of executions begun, and the length of the current input. */
  readonly counters: Int32Array
  readonly input: Uint8Array
  readonly artifact: string
}

/**
 * Starts a thread that kills the process if an execution does not end, and writes the input to `artifact`.
 *
 * @returns a function to call with the input before each execution
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
