import t, { type Test } from 'tap'
import { failedOver, startSentinels } from '../helpers/cluster.ts'
import { runToEnd } from '../helpers/command.ts'
import { deliveryBody } from '../helpers/consumers.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { freeze, until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

t.setTimeout(600_000)

const { master, replica, sentinels, stop } = await startSentinels()
const receiver = await startReceiver(answers(200))
const env = {
  REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(','),
  CIO_WEBHOOK_SECRET: KEY,
  HOST: '127.0.0.1',
  PORT: '0',
  LOG_LEVEL: 'silent',
  CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
}
const service = await startTestService(env)
t.teardown(async () => {
  await service.close()
  await receiver.stop()
  await stop()
})

const commands: readonly (readonly string[])[] = [
  ['status'],
  ['events', '--json'],
  ['events', 'show', 'e1'],
  ['consumers'],
  ['consumers', 'show', 'crm'],
  ['consumers', 'dead', 'crm']
]

const runOne = async (args: readonly string[]) => ({
  ...(await runToEnd(args, env)),
  command: args.join(' ')
})

async function allSucceed(t: Test): Promise<void> {
  for (const args of commands) {
    const { code, stdout, stderr, command } = await runOne(args)
    // `status` exits with 1 for any problem, such as a busy machine.
    t.ok(code === 0 || (command === 'status' && code === 1), `${command}: ${code}`)
    t.notMatch(`${stdout}${stderr}`, 'cannot reach Redis')
  }
}

t.test('the commands that read Redis work behind Sentinel', async t => {
  t.equal((await service.post(deliveryBody('e1'))).status, 200)
  await until('it is pushed', async () => receiver.requests.length > 0)
  await until('it is known', async () => (await runToEnd(['events', 'show', 'e1'], env)).code === 0)
  await master.client.wait(1, 5000)
  await allSucceed(t)
})

t.test('while the master hangs they end with the cause, and after the failover they work', async t => {
  // Sentinel promotes no replica that has given up its master, by default after 60 s, long before it counts as down.
  await replica.client.config('SET', 'repl-timeout', '3600')
  await freeze(master)
  // At once: each waits for its time limit.
  for (const { code, stdout, stderr, command } of await Promise.all(commands.map(runOne))) {
    // `status` shows what it knows without Redis.
    t.equal(code, command === 'status' ? 1 : 2, command)
    t.match(
      `${stdout}${stderr}`,
      /cannot reach Redis at 127\.0\.0\.1:\d+.*: .*(no answer|no connection)/,
      command
    )
    t.notMatch(stderr, /^ +at /m, 'no stack')
  }
  await failedOver(sentinels, replica)
  await until('the service works', async () => (await service.post(deliveryBody('e2'))).status === 200)
  await allSucceed(t)
})
