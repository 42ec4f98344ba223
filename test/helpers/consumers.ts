import type { Test } from 'tap'
import { consumersFile, httpConsumer } from './consumers-file.ts'
import { runCommand } from './process.ts'
import { answers, startReceiver } from './receiver.ts'
import { startRedis } from './redis.ts'
import { startTestService } from './service.ts'
import { KEY } from './sign.ts'

/** A delivery's body. */
export const deliveryBody = (id: string, metric = 'opened'): string =>
  JSON.stringify({
    event_id: id,
    object_type: 'email',
    metric,
    timestamp: 1795510800,
    data: { customer_id: id }
  })

/** A service with the push consumer `crm`, its receiver, and the command. */
export async function openConsumers(t: Test) {
  const redis = await startRedis()
  const receiver = await startReceiver(answers(200))
  const env = {
    REDIS_URL: redis.url,
    CIO_WEBHOOK_SECRET: KEY,
    CONSUMERS_FILE: consumersFile(
      httpConsumer('crm', receiver.url, { maxAttempts: 2, retryDelayMs: 10, maxRetryDelayMs: 50 })
    )
  }
  const service = await startTestService(env)
  t.teardown(async () => {
    await service.close()
    await receiver.stop()
    await redis.stop()
  })
  const run = async (...args: string[]) => {
    const command = runCommand(args, env)
    const code = await command.ended
    return { code, output: command.output() }
  }
  const json = async (...args: string[]) => {
    const { code, output } = await run(...args, '--json')
    return { code, value: JSON.parse(output) }
  }
  return { redis, receiver, service, run, json, env }
}
