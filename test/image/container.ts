import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { KEY } from '../helpers/sign.ts'
import { ask } from './client.ts'
import { docker, inspect } from './docker.ts'

export interface Container {
  readonly name: string
  readonly port: number
  /** Resolves once `/readyz` says yes. */
  ready(): Promise<void>
  /** Runs JavaScript inside. @returns what it printed */
  evaluate(script: string): Promise<string>
  signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Resolves with the exit code, once there is one. */
  ended(timeoutMs: number): Promise<number>
  remove(): Promise<void>
}

/** As narrow as it is to run in production. */
export const HARDENED = [
  '--read-only',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
  '--pids-limit',
  '64'
]

/** The service in a container that shares this machine's network, so that it hears who really calls. */
export async function startContainer(
  image: string,
  env: Readonly<Record<string, string>>
): Promise<Container> {
  const port = await freePort()
  const folder = temporaryFolder()
  const secret = join(folder, 'key')
  writeFileSync(secret, `${KEY}\n`)
  const settings = {
    HOST: '127.0.0.1',
    PORT: String(port),
    CIO_WEBHOOK_SECRET_FILE: '/run/secrets/webhook_secret',
    ...env
  }
  const container = await runContainer(port, [
    ...['--network', 'host', '--volume', `${secret}:/run/secrets/webhook_secret:ro`],
    ...Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    image
  ])
  return {
    ...container,
    remove: async () => {
      await container.remove()
      rmSync(folder, { recursive: true })
    }
  }
}

/** @param args of `docker run`, the image's name among them */
export async function runContainer(port: number, args: readonly string[]): Promise<Container> {
  const name = `cio-proof-${randomUUID()}`
  await docker('run', '--detach', '--name', name, ...HARDENED, ...args)
  return {
    name,
    port,
    ready: async () => {
      await until(`${name} is ready`, async () => {
        const answer = await ask({ port, path: '/readyz' }).catch(() => undefined)
        if (answer === undefined && (await inspect(name)).State.Status !== 'running') {
          throw new Error(`it ended: ${await docker('logs', name)}`)
        }
        return answer?.status === 200
      })
    },
    evaluate: script => docker('exec', name, 'node', '--input-type=module', '--eval', script),
    signal: async signal => {
      await docker('kill', '--signal', signal, name)
    },
    ended: timeoutMs =>
      until(
        `${name} ends`,
        async () => {
          const { State } = await inspect(name)
          // Not 0 itself, which would count as no answer.
          return State.Status === 'exited' && { code: State.ExitCode }
        },
        timeoutMs
      ).then(({ code }) => code),
    remove: async () => {
      await docker('rm', '--force', '--volumes', name)
    }
  }
}
