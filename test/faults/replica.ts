import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { KEY } from '../helpers/sign.ts'

/** A process of the service that can be killed and started again, always on the same port. */
export interface Replica {
  readonly port: number
  /** Resolves when it listens, whether or not Redis is reachable. */
  start(): Promise<void>
  kill(): Promise<void>
  /** SIGTERM. @returns the exit code, or the signal that ended the process */
  terminate(): Promise<number | NodeJS.Signals | null>
  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void
  /** Resolves when it is ready to accept deliveries. */
  ready(): Promise<void>
  /** Of the current process. */
  pid(): number
  /** Unexpected exits, and output that reports an uncaught error. */
  readonly processErrors: readonly string[]
  /** The last part of the output. */
  output(): string
}

export const COMPILED_MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

const KEPT_OUTPUT = 64 * 1024
const START_TIMEOUT_MS = 60_000

/** Killed when this process exits. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function createReplica(
  env: Readonly<Record<string, string>>,
  main: string = COMPILED_MAIN
): Promise<Replica> {
  const port = await freePort()
  const folder = temporaryFolder()
  const processErrors: string[] = []
  let printed = ''
  let child: ChildProcess | undefined
  let ended: Promise<number | NodeJS.Signals | null> = Promise.resolve(null)
  let expected = true
  const ask = (path: string): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2000) }).then(
      response => response.ok,
      () => false
    )
  const end = async (signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> => {
    expected = true
    child?.kill(signal)
    return ended
  }

  return {
    port,
    start: async () => {
      expected = false
      // As users start it: options of Node decide how much memory it takes.
      const process_ = spawn('sh', [join(dirname(main), 'cio-webhook.sh'), 'serve'], {
        cwd: folder,
        env: {
          PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
          NODE_ENV: 'test',
          HOST: '127.0.0.1',
          LOG_LEVEL: 'warn',
          ...('CIO_WEBHOOK_SECRET_FILE' in env ? {} : { CIO_WEBHOOK_SECRET: KEY }),
          ...env,
          PORT: String(port)
        },
        stdio: ['ignore', 'pipe', 'pipe']
      })
      child = process_
      running.add(process_)
      const print = (chunk: Buffer): void => {
        const text = chunk.toString()
        if (/"level":"fatal"|unhandled|uncaught/i.test(text)) processErrors.push(text.slice(0, 500))
        printed = (printed + text).slice(-KEPT_OUTPUT)
      }
      process_.stdout.on('data', print)
      process_.stderr.on('data', print)
      ended = new Promise(resolve =>
        process_.once('close', (code, signal) => {
          if (!expected) processErrors.push(`unexpected exit: ${code ?? signal}\n${printed.slice(-500)}`)
          child = undefined
          running.delete(process_)
          resolve(code ?? signal)
        })
      )
      await until(
        'the replica listens',
        async () => {
          if (child === undefined) throw new Error(`the service exited:\n${printed}`)
          return ask('/healthz')
        },
        START_TIMEOUT_MS
      )
    },
    kill: async () => void (await end('SIGKILL')),
    terminate: () => end('SIGTERM'),
    signal: signal => {
      expected ||= signal === 'SIGTERM'
      child?.kill(signal)
    },
    ready: async () => void (await until('the replica is ready', () => ask('/readyz'), START_TIMEOUT_MS)),
    pid: () => child?.pid ?? 0,
    processErrors,
    output: () => printed
  }
}
