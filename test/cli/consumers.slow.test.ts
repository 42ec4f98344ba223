import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { deadLetters } from '../../src/republish/dead-letters.ts'
import { consumersFile, httpConsumer, natsConsumer } from '../helpers/consumers-file.ts'
import { runCommand } from '../helpers/process.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

t.setTimeout(300_000)

const body = (id: string, metric = 'opened'): string =>
  JSON.stringify({
    event_id: id,
    object_type: 'email',
    metric,
    timestamp: 1795510800,
    data: { customer_id: id }
  })

async function open(t: Test) {
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
  return { redis, receiver, service, run, json }
}

t.test('consumers: who got what, what nobody took, and what can be done about it', async t => {
  const { redis, receiver, service, run, json } = await open(t)
  await service.post(body('good'))
  await until('delivered', async () => receiver.requests.length === 1)

  await t.test('a consumer that has everything is ok, and the exit code says so', async t => {
    const { code, value } = await until('ok', async () => {
      const list = await json('consumers')
      return list.code === 0 && list
    })
    t.equal(code, 0)
    t.match(value, {
      consumers: [
        { name: 'crm', type: 'http', state: 'ok', lag: 0, pending: 0, queued: 0, dead: 0, members: 1 }
      ],
      parked: 0
    })
  })

  await t.test('dead letters are listed with their reason, replayed and dropped', async t => {
    receiver.behave(answers(500))
    await service.post(body('bad-1'))
    await service.post(body('bad-2'))
    const { value: letters } = await until('two dead letters', async () => {
      const dead = await json('consumers', 'dead', 'crm')
      return dead.value.length === 2 && dead
    })
    t.match(letters[0], { reason: 'failed', error: 'AttemptFailed: status 500', attempts: 2 })
    const list = await run('consumers')
    t.equal(list.code, 1)
    t.match(
      list.output,
      /^CONSUMER +TYPE +STATE +LAG +PENDING +OLDEST +DEAD +FAILURES +LAST FAILURE +MEMBERS\n/
    )
    t.match(list.output, /^crm +http +ok +0 +0 +- +2 +4 +status 500 +1\n/m)

    receiver.behave(answers(200))
    const before = receiver.requests.length
    t.same((await json('consumers', 'replay', 'crm', letters[0].letter)).value, { replayed: 1, left: [] })
    await until('replayed', async () => receiver.requests.length === before + 1)
    t.same((await json('consumers', 'drop', 'crm', '--all')).value, { dropped: 1 })
    t.match((await run('consumers', 'dead', 'crm')).output, 'no dead letters')
  })

  await t.test('a dead letter whose event was trimmed meanwhile is handed on from the letter', async t => {
    receiver.behave(answers(500))
    await service.post(body('trimmed'))
    await until('a dead letter', async () => (await redis.client.xlen('cio:dead:crm')) === 1)
    await redis.client.xtrim('cio:events:{0}', 'MAXLEN', 0)
    receiver.behave(answers(200))
    const before = receiver.requests.length
    t.same((await json('consumers', 'replay', 'crm', '--all')).value, { replayed: 1, left: [] })
    await until('replayed', async () => receiver.requests.length === before + 1)
    t.equal(receiver.requests.at(-1)?.headers['webhook-id'], 'trimmed')
  })

  await t.test(
    'a consumer that answered 410 is shown as disabled, and gets the rest once enabled',
    async t => {
      receiver.behave(answers(410))
      await service.post(body('gone'))
      await until('disabled', async () => (await json('consumers')).value.consumers[0].state === 'disabled')
      t.equal((await run('consumers')).code, 1)
      receiver.behave(answers(200))
      const before = receiver.requests.length
      t.equal((await run('consumers', 'enable', 'crm')).code, 0)
      await until('delivered', async () => receiver.requests.length > before)
      t.equal(receiver.requests.at(-1)?.headers['webhook-id'], 'gone')
    }
  )

  await t.test('a group that nobody serves is shown, keeps its place, and can be removed', async t => {
    await redis.client.xgroup('CREATE', 'cio:events:{0}', 'forgotten', '0')
    await service.post(body('unread'))
    const { value } = await json('consumers')
    t.match(
      value.consumers.find(({ name }: { name: string }) => name === 'forgotten'),
      { state: 'unserved', type: 'library', members: 0 }
    )
    t.match((await run('consumers')).output, 'nobody works for forgotten')
    t.equal((await run('consumers', 'remove', 'crm')).code, 2, 'not one that is served')
    t.equal((await run('consumers', 'remove', 'forgotten')).code, 0)
    const groups = (await redis.client.xinfo('GROUPS', 'cio:events:{0}')) as unknown[]
    t.equal(groups.length, 1)
  })

  await t.test('parked deliveries are shown, and become events when they are replayed', async t => {
    await service.post('{not json')
    await service.post('[1, 2]')
    const { value } = await json('consumers', 'parked')
    t.same(
      value.map(({ event }: { event: string }) => JSON.parse(event).data.reason),
      ['not_json', 'not_an_object']
    )
    t.match((await run('consumers')).output, 'parked deliveries: 2')
    const before = receiver.requests.length
    const [first] = value
    t.same((await json('consumers', 'replay-parked', `${first.partition}-${first.id}`)).value, {
      replayed: 1
    })
    await until('delivered', async () => receiver.requests.length === before + 1)
    t.equal(JSON.parse(receiver.requests.at(-1)?.body ?? '').type, 'io.customer.parked')
    t.same((await json('consumers', 'drop-parked', '--all')).value, { dropped: 1 })
    t.equal(await redis.client.xlen('cio:parked:{0}'), 0)
  })

  for (const args of [
    ['consumers', 'dead'],
    ['consumers', 'dead', 'nobody'],
    ['consumers', 'replay', 'crm'],
    ['consumers', 'replay', 'crm', '1-1', '--all'],
    ['consumers', 'replay', 'crm', '1-1'],
    ['consumers', 'drop', 'crm', 'x'],
    ['consumers', 'enable', 'nobody'],
    ['consumers', 'explode'],
    ['consumers', '--count', '0'],
    ['events', 'replay', 'crm'],
    ['events', 'replay', 'nobody', '--from', '1h'],
    ['events', '--from', 'yesterday'],
    ['events', '--type', 'a b']
  ]) {
    await t.test(`${args.join(' ')}: can’t be meant, is told in one line, exit 2`, async t => {
      const { code, output } = await run(...args)
      t.equal(code, 2)
      t.match(output, /^cio-webhook (consumers|events): [^\n]+\n$/)
    })
  }
})

t.test(
  'events: the newest, filtered, followed, and a stretch of them once more for one consumer',
  async t => {
    const { redis, receiver, service, run, json } = await open(t)
    for (let index = 0; index < 20; index++)
      await service.post(body(`e${index}`, index % 2 ? 'clicked' : 'opened'))
    await until('delivered', async () => receiver.requests.length === 20)

    const ids = (output: string): string[] =>
      output
        .trim()
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line).event.id)

    t.same(
      ids((await run('events', '--json')).output),
      Array.from({ length: 10 }, (_, index) => `e${index + 10}`)
    )
    t.same(ids((await run('events', '--json', '--count', '2', '--type', '*.clicked')).output), ['e17', 'e19'])
    t.same(ids((await run('events', '--json', '--id', 'e3')).output), ['e3'])
    t.equal((await run('events', '--id', 'nothing')).code, 1)
    t.match((await run('events', '--count', '1')).output, /^\S+Z {2}0-\d+-\d+ {2}email\.clicked +e19\n$/)

    const following = runCommand(['events', '--follow', '--json', '--count', '1'], {
      REDIS_URL: redis.url,
      CIO_WEBHOOK_SECRET: KEY
    })
    await until('the last', async () => following.output().includes('"e19"'))
    await service.post(body('e20'))
    await until('the next', async () => following.output().includes('"e20"'))
    following.process.kill('SIGINT')
    t.equal(await following.ended, 0)

    await until('all acknowledged', async () => (await json('consumers')).code === 0)
    const before = receiver.requests.length
    const range = ['--from', '1h', '--id', 'e4', '--id', 'e5', '--id', 'e6', '--type', '*.opened']
    t.same((await json('events', 'replay', 'crm', ...range)).value, { replayed: 2 })
    await until('replayed', async () => receiver.requests.length === before + 2)
    t.same(
      receiver.requests.slice(before).map(({ headers }) => headers['webhook-id']),
      ['e4', 'e6']
    )
    t.equal((await run('events', 'replay', 'crm', '--from', '2h', '--to', '1h')).code, 1)
  }
)

t.test('letters whose consumer can’t be reached stay, and none is waited for after the first', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const silent = createServer(() => {})
  t.teardown(() => silent.close())
  const port = await freePort()
  silent.listen(port, '127.0.0.1')
  const env = {
    REDIS_URL: redis.url,
    CIO_WEBHOOK_SECRET: KEY,
    CONSUMERS_FILE: consumersFile(natsConsumer('bridge', `nats://127.0.0.1:${port}`))
  }
  await redis.client.xgroup('CREATE', 'cio:events:{0}', 'bridge', '0', 'MKSTREAM')
  const letters = deadLetters(redis.client, 'cio:')
  for (const id of ['a', 'b', 'c']) {
    const type = 'io.customer.email.sent'
    const source = 'default'
    const event = JSON.stringify({ specversion: '1.0', id, source: `/customerio/${source}`, type })
    await letters.keep('bridge', { id, source, type, event, position: '0-1-0' }, new Error('as a test'), 3)
  }
  const started = performance.now()
  const command = runCommand(['consumers', 'replay', 'bridge', '--all', '--json'], env)
  t.equal(await command.ended, 1)
  const why = 'it is no longer in the log, and could not be handed on'
  t.match(JSON.parse(command.output()), { replayed: 0, left: [{ why }, { why }, { why }] })
  t.ok(performance.now() - started < 25_000, 'waited for once')
  t.equal(await letters.count('bridge'), 3)
})
