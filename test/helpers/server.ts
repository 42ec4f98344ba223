import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A program that a test runs for itself, in a folder of its own that goes with it. */
export interface RunningServer {
  readonly process: ChildProcess
  readonly folder: string
  /** What it has printed so far, both streams together. */
  output(): string
  /** Ends it, by SIGTERM unless told otherwise, and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

export interface ServerOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly folder?: string
  readonly env?: NodeJS.ProcessEnv
  /** Asked until it says yes. */
  readonly ready: () => Promise<boolean>
  readonly timeoutMs?: number
}

const START_TIMEOUT_MS = 45_000

/** What still runs when this process ends goes with it. */
const living = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

export async function startServer({
  command,
  args,
  folder,
  env,
  ready,
  timeoutMs = START_TIMEOUT_MS
}: ServerOptions): Promise<RunningServer> {
  const home = folder ?? temporaryFolder()
  // Debian keeps nginx and haproxy where a user's PATH may not look.
  const path = `${process.env['PATH']}:/usr/sbin`
  const child = spawn(command, args, {
    cwd: home,
    stdio: 'pipe',
    env: { ...process.env, PATH: path, ...env }
  })
  const printed: Buffer[] = []
  child.stdout?.on('data', chunk => printed.push(chunk))
  child.stderr?.on('data', chunk => printed.push(chunk))
  const output = (): string => Buffer.concat(printed).toString()
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve())
    child.once('error', reject)
  })
  let gone = false
  living.add(child)
  const over = (): void => {
    gone = true
    living.delete(child)
  }
  const watched = ended.then(over, over)

  const deadline = Date.now() + timeoutMs
  while (!(await ready())) {
    if (gone || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`${command} did not start:\n${output()}`)
    }
    await sleep(20)
  }
  return {
    process: child,
    folder: home,
    output,
    stop: async (signal = 'SIGTERM') => {
      if (!gone) child.kill(signal)
      await watched
      if (folder === undefined) rmSync(home, { recursive: true, force: true })
    }
  }
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'cio-'))

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** Holds a process where it is, until SIGCONT. Whoever sends the signal goes on before every thread has stopped. */
export async function freeze({ process: child }: Pick<RunningServer, 'process'>): Promise<void> {
  child.kill('SIGSTOP')
  const threads = `/proc/${child.pid}/task`
  const isStopped = (thread: string): boolean =>
    / T /.test(readFileSync(join(threads, thread, 'stat'), 'utf8').replace(/^.*\)/, ''))
  await until('every thread to stop', async () => readdirSync(threads).every(isStopped))
}

/** Asks until the answer is not `undefined` or false. A condition that never comes fails the test by its name. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  timeoutMs = 30_000
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (Date.now() > deadline) throw new Error(`never came: ${what}`)
    await sleep(20)
  }
}
