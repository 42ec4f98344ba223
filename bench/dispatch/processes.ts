import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { consumersFile } from '../../test/helpers/consumers-file.ts'
import { type ServiceProcess, startServiceProcess } from '../../test/helpers/process.ts'
import type { TestRedis } from '../../test/helpers/redis.ts'

/** A program of this folder, in a process of its own. */
export interface Child<Answer> {
  readonly pid: number
  /** What it sent when it was ready. */
  readonly greeting: string
  ask(message: string): Promise<Answer>
  end(): void
}

/** @param program name of a file in this folder, without its extension */
export async function startChild<Answer>(
  program: string,
  ...args: readonly string[]
): Promise<Child<Answer>> {
  const file = fileURLToPath(new URL(`${program}.js`, import.meta.url))
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const greeting = String(await nextMessage(child))
  return {
    pid: child.pid ?? 0,
    greeting,
    ask: message => {
      const answer = nextMessage(child)
      child.send(message)
      return answer as Promise<Answer>
    },
    end: () => child.disconnect()
  }
}

const nextMessage = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const onExit = (code: number | null): void =>
      reject(new Error(`${child.spawnargs[1]} ended with ${code}`))
    child.once('exit', onExit)
    child.once('message', message => {
      child.off('exit', onExit)
      resolve(message)
    })
  })

/** As in src/cli/cio-webhook.sh. */
const OPTIONS_OF_START_SCRIPT = '--max-semi-space-size=16'

/** Runs the service with these consumers, and stops it however `use` ends. */
export async function withDispatcher<T>(
  redis: TestRedis,
  consumers: readonly Record<string, unknown>[],
  env: Record<string, string>,
  use: (service: ServiceProcess) => Promise<T>
): Promise<T> {
  const service = await startServiceProcess({
    NODE_OPTIONS: OPTIONS_OF_START_SCRIPT,
    ...env,
    REDIS_URL: redis.url,
    LOG_LEVEL: 'info',
    CONSUMERS_FILE: consumersFile(...consumers)
  })
  try {
    return await use(service)
  } finally {
    service.process.kill('SIGTERM')
    await service.ended
  }
}
