import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A program started by a test, in a temporary folder that is removed when the program is stopped. */
export interface RunningServer {
  readonly process: ChildProcess
  readonly folder: string
  /** Its output so far, stdout and stderr. */
  output(): string
  /** Sends a signal (default: SIGTERM) and waits until the process has exited. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

export interface ServerOptions {
  readonly command: string
  readonly args: readonly string[]
  /** Working directory, which is kept. Default: a temporary one. */
  readonly folder?: string
  readonly env?: NodeJS.ProcessEnv
  /** Polled until it is true. */
  readonly ready: () => Promise<boolean>
  readonly timeoutMs?: number
}

/** For a machine that runs many tests at once. */
export const START_TIMEOUT_MS = 120_000

/** Debian installs nginx, haproxy and others in folders that are not on every user's PATH. */
export const SYSTEM_PATH = `${process.env['PATH']}:/usr/sbin:/sbin`

/** Killed when this process exits. */
const running = new Set<ChildProcess>()
/** Removed when this process exits. */
const folders = new Set<string>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  // A killed server can still add a file, so that the first attempt finds a folder that is not empty.
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
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
  const child = spawn(command, args, {
    cwd: home,
    stdio: 'pipe',
    env: { ...process.env, PATH: SYSTEM_PATH, ...env }
  })
  const printed: Buffer[] = []
  child.stdout?.on('data', chunk => printed.push(chunk))
  child.stderr?.on('data', chunk => printed.push(chunk))
  const output = (): string => Buffer.concat(printed).toString()
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve())
    child.once('error', reject)
  })
  let hasExited = false
  running.add(child)
  const onExit = (): void => {
    hasExited = true
    running.delete(child)
  }
  const exited = ended.then(onExit, onExit)

  const deadline = Date.now() + timeoutMs
  while (!(await ready())) {
    if (hasExited || Date.now() > deadline) {
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
      if (!hasExited) child.kill(signal)
      await exited
      if (folder === undefined) rmSync(home, { recursive: true, force: true })
    }
  }
}

/** A new folder, which is removed when this process exits at the latest, also after a failure. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cio-'))
  folders.add(folder)
  return folder
}

/** Below the ports that systems give to outgoing connections, which would take a port between this and its use. */
const [FIRST_PORT, LAST_PORT] = [10_000, 32_000]

export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT)
    if (await canListen(port)) return port
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Does anything accept TCP connections on this port? */
export function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Stops a process until SIGCONT. Waits, since the signal takes time to stop every thread. */
export async function freeze({ process: child }: Pick<RunningServer, 'process'>): Promise<void> {
  child.kill('SIGSTOP')
  const threads = `/proc/${child.pid}/task`
  const isStopped = (thread: string): boolean =>
    / T /.test(readFileSync(join(threads, thread, 'stat'), 'utf8').replace(/^.*\)/, ''))
  await until('every thread is stopped', async () => readdirSync(threads).every(isStopped))
}

/** A call of `ask` that takes so much longer than `timeoutMs` gets no reply any more. */
const HANGS_MS = 30_000

/** Less often the longer it takes: what is polled, such as metrics or a page, can cost more CPU than what is waited for. */
const pollPauseMs = (waitedMs: number): number => Math.min(100, Math.max(20, waitedMs / 10))

/**
 * Polls until the result is neither `undefined` nor false.
 *
 * @param what names the condition in the error
 * @throws after `timeoutMs`, also if `ask` hangs
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  timeoutMs = 30_000
): Promise<T> {
  const startedMs = Date.now()
  const deadline = startedMs + timeoutMs
  let timer: NodeJS.Timeout | undefined
  const hangs = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out, without a reply: ${what}`)), timeoutMs + HANGS_MS)
  })
  try {
    for (;;) {
      const answer = await Promise.race([ask(), hangs])
      if (answer !== undefined && answer !== false) return answer
      if (Date.now() > deadline) throw new Error(`timed out: ${what}`)
      await sleep(pollPauseMs(Date.now() - startedMs))
    }
  } finally {
    clearTimeout(timer)
  }
}
