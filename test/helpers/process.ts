import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { freePort, START_TIMEOUT_MS, temporaryFolder, until } from './server.ts'
import { KEY } from './sign.ts'

/** The program `cio-webhook`, compiled. */
export const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

const { PATH = '', NODE_COMPILE_CACHE } = process.env

/** For a process with an environment of its own: what Node needs to find programs, and the code it compiled before. */
export const nodeEnvironment: Readonly<Record<string, string>> = {
  PATH,
  ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE })
}

export interface ServiceProcess {
  readonly process: ChildProcess
  readonly port: number
  readonly url: string
  readonly folder: string
  output(): string
  /** Resolves with the exit code, or with the signal that ended the process. */
  readonly ended: Promise<number | NodeJS.Signals | null>
}

/** Runs `cio-webhook` in a process of its own, with only `env` and `nodeEnvironment` as its environment. */
export function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  folder = temporaryFolder()
) {
  // As in src/cli/cio-webhook.sh: without it, the memory of Node 24 varies by more than 100 MB.
  const child = spawn(process.execPath, ['--max-semi-space-size=16', MAIN, ...args], {
    cwd: folder,
    env: { ...nodeEnvironment, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const printed: Buffer[] = []
  child.stdout.on('data', chunk => printed.push(chunk))
  child.stderr.on('data', chunk => printed.push(chunk))
  const ended = new Promise<number | NodeJS.Signals | null>(resolve =>
    child.once('close', (code, signal) => resolve(code ?? signal))
  )
  return { process: child, folder, ended, output: () => Buffer.concat(printed).toString() }
}

/** Runs `cio-webhook serve` in a process of its own, and waits until it is ready. */
export async function startServiceProcess(env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const port = Number(env['PORT'] ?? (await freePort()))
  const url = `http://127.0.0.1:${port}`
  const command = runCommand(['serve'], {
    HOST: '127.0.0.1',
    ...('CIO_WEBHOOK_SECRET_FILE' in env ? {} : { CIO_WEBHOOK_SECRET: KEY }),
    ...env,
    PORT: String(port)
  })
  let hasExited = false
  void command.ended.then(() => {
    hasExited = true
  })
  const isReady = async (): Promise<boolean> => {
    if (hasExited) throw new Error(`the service exited:\n${command.output()}`)
    return fetch(`${url}/readyz`).then(
      response => response.ok,
      () => false
    )
  }
  await until('the service is ready', isReady, START_TIMEOUT_MS).catch((error: unknown) => {
    // Otherwise the process that nobody knows keeps the test file running until its time limit.
    command.process.kill('SIGKILL')
    throw error
  })
  return { ...command, port, url }
}
