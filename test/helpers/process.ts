import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { freePort, temporaryFolder, until } from './server.ts'
import { KEY } from './sign.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface ServiceProcess {
  readonly process: ChildProcess
  readonly port: number
  readonly url: string
  readonly folder: string
  output(): string
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
}

/** Runs `cio-webhook` with these arguments, as an operator would; nothing of our own environment leaks in. */
export function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  folder = temporaryFolder()
) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...env },
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

/** `cio-webhook serve` as a process of its own, once it answers. */
export async function startServiceProcess(env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const port = Number(env['PORT'] ?? (await freePort()))
  const url = `http://127.0.0.1:${port}`
  const command = runCommand(['serve'], {
    HOST: '127.0.0.1',
    CIO_WEBHOOK_SECRET: KEY,
    ...env,
    PORT: String(port)
  })
  let gone = false
  void command.ended.then(() => {
    gone = true
  })
  await until('the service', async () => {
    if (gone) throw new Error(`the service ended:\n${command.output()}`)
    return fetch(`${url}/readyz`).then(
      response => response.ok,
      () => false
    )
  })
  return { ...command, port, url }
}
