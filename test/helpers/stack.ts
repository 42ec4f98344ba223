import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { consumersFile, httpConsumer } from './consumers-file.ts'
import type { FakeCustomerIo } from './customer-io.ts'
import { MAIN, type ServiceProcess, startServiceProcess } from './process.ts'
import { startReceiver, type TestReceiver } from './receiver.ts'
import { startRedis, type TestRedis } from './redis.ts'
import { freePort, temporaryFolder } from './server.ts'

export interface Stack {
  readonly env: Readonly<Record<string, string>>
  readonly folder: string
  readonly keyFile: string
  readonly receiver: TestReceiver
  readonly service: ServiceProcess
  /** What the names of the pages are here. */
  readonly names: Readonly<Record<string, string>>
  startRedis(): Promise<void>
  stopRedis(): Promise<void>
  /** Writes the log lines so far to the file that `names` has instead of `docker-compose logs`. */
  writeLog(): void
}

/** A service with a consumer, and `cio-webhook` on the PATH, with the environment of the service. @param further further variables */
export async function startStack(t: Test, further: Readonly<Record<string, string>> = {}): Promise<Stack> {
  const [folder, redisFolder, redisPort] = [temporaryFolder(), temporaryFolder(), await freePort()]
  const receiver = await startReceiver()
  const keyFile = join(folder, 'webhook_secret')
  writeFileSync(keyFile, 'the-key-of-the-service')
  let redis: TestRedis | undefined
  const stack = {
    startRedis: async () => {
      redis = await startRedis({ appendonly: 'yes' }, { port: redisPort, folder: redisFolder })
    },
    stopRedis: async () => redis?.stop()
  }
  await stack.startRedis()
  const port = String(await freePort())
  const crm = httpConsumer('crm', receiver.url, { timeoutMs: 1000, retryDelayMs: 1000, maxAttempts: 2 })
  const env = {
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    PORT: port,
    CONSOLE_PORT: String(await freePort()),
    CIO_WEBHOOK_SECRET_FILE: keyFile,
    PII_HASH_KEY: 'a key for the hashes of addresses',
    TRUSTED_PROXIES: '127.0.0.1',
    DATA_DIR: join(folder, 'data'),
    CONSUMERS_FILE: consumersFile(crm),
    ...further
  }
  const service = await startServiceProcess(env)
  t.teardown(async () => {
    service.process.kill('SIGTERM')
    await service.ended
    await receiver.stop()
    await stack.stopRedis()
  })
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'cio-webhook'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`)
  chmodSync(join(bin, 'cio-webhook'), 0o755)
  const log = join(folder, 'service.log')
  return {
    ...stack,
    env: { ...env, PATH: `${bin}:${process.env['PATH']}` },
    folder,
    keyFile,
    receiver,
    service,
    names: {
      'localhost:3000': `localhost:${port}`,
      'redis.internal:6379': `127.0.0.1:${redisPort}`,
      'http://crm.internal/events': receiver.url,
      'docker-compose logs --no-log-prefix webhook': `cat ${log}`
    },
    writeLog: () => writeFileSync(log, service.output())
  }
}

/** For a service that uses the App API. It opens the message index after an eighth of the retention: ten seconds. */
export const withAppApi = ({ appUrl }: Pick<FakeCustomerIo, 'appUrl'>) => ({
  CIO_APP_API_KEY: 'app-key',
  CIO_APP_URL: appUrl,
  EVENT_RETENTION_SECONDS: '80'
})
