import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { runToEnd } from '../../helpers/command.ts'
import { deliveryBody as body, openConsumers } from '../../helpers/consumers.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { cloudEventText } from '../../helpers/outgoing.ts'
import { runCommand } from '../../helpers/process.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'

t.setTimeout(600_000)

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

t.test('events: the newest, filtered, followed, and replayed for one consumer', async t => {
  const { redis, receiver, service, run, json } = await openConsumers(t)
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
  const none = {
    code: 1,
    output: /^cio-webhook events: no events match; searched 20 events, received \S+ to \S+\n$/
  }
  t.match(await run('events', '--id', 'nothing'), none)
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
  t.same((await json('events', 'replay', 'crm', ...range)).value, {
    type: 'http',
    replayed: 2,
    skipped: 0,
    notWanted: 0
  })
  await until('replayed', async () => receiver.requests.length === before + 2)
  t.same(
    receiver.requests.slice(before).map(({ headers }) => headers['webhook-id']),
    ['e4', 'e6']
  )
  t.equal((await run('events', 'replay', 'crm', '--from', '2h', '--to', '1h')).code, 1)

  t.same((await json('events', 'replay', 'crm', '--id', 'e7')).value, {
    replayed: 1,
    left: [],
    notWanted: 0,
    unknown: []
  })
  await until('replayed', async () => receiver.requests.length === before + 3)
  t.equal(receiver.requests.at(-1)?.headers['webhook-id'], 'e7')
  const some = await run('events', 'replay', 'crm', '--id', 'e8', '--id', 'nothing')
  t.equal(some.code, 1, 'an unknown id')
  t.match(some.output, '1 replayed to crm')
  t.match(some.output, 'nothing')
  t.equal((await run('events', 'replay', 'nobody', '--id', 'e8')).code, 2, 'an unknown consumer')
  await until('replayed', async () => receiver.requests.length === before + 4)

  await service.post('{"event_id":"exact","data":{"customer_id":8202522731445525542,"price":19.90}}')
  const digits = '"customer_id":8202522731445525542,"price":19.90'
  t.match((await run('events', '--json', '--id', 'exact')).output, digits, 'numbers as they came')
  await until('delivered', async () => receiver.requests.length === before + 5)
  t.match(receiver.requests.at(-1)?.body, digits)
})

t.test('events replay counts what the consumer gets anyway, and what it does not want', async t => {
  const { receiver, redis, env, json, service, run } = await openConsumers(t)
  for (const [id, metric] of [
    ['o1', 'opened'],
    ['o2', 'opened'],
    ['c1', 'clicked']
  ] as const) {
    await service.post(body(id, metric))
  }
  await until('all acknowledged', async () => (await json('consumers')).value.consumers[0].lag === 0)
  await until('delivered', async () => receiver.requests.length === 3)

  await t.test('of a type that is not in its types in CONSUMERS_FILE', async t => {
    const file = consumersFile(httpConsumer('crm', receiver.url, { types: ['email.opened'] }))
    const narrowed = { ...env, CONSUMERS_FILE: file }
    const { code, stdout } = await runToEnd(['events', 'replay', 'crm', '--from', '1h'], narrowed)
    t.same(
      [code, stdout],
      [
        0,
        '2 replayed to crm\n1 not replayed: crm does not want them (types and backfilled in CONSUMERS_FILE)\n'
      ]
    )
    await until('replayed', async () => receiver.requests.length === 5)
    const only = await runToEnd(['events', 'replay', 'crm', '--from', '1h', '--id', 'c1', '--json'], narrowed)
    t.equal(only.code, 1)
    t.same(JSON.parse(only.stdout), { type: 'http', replayed: 0, skipped: 0, notWanted: 1 })
  })

  await t.test('to a plain group: what its readers have not acknowledged yet is skipped', async t => {
    const stream = 'cio:events:{0}'
    await redis.client.xgroup('CREATE', stream, 'python', '0')
    const read = () => redis.client.xreadgroup('GROUP', 'python', 'w1', 'COUNT', 2, 'STREAMS', stream, '>')
    t.match(await run('events', 'replay', 'python', '--from', '1h'), {
      code: 1,
      output: /^0 replayed to python\n3 not replayed: python gets them anyway/
    })
    const [[, entries] = []] = ((await read()) ?? []) as [string, [string, string[]][]][]
    const [first] = entries ?? []
    await redis.client.xack(stream, 'python', first?.[0] ?? '')
    const { code, output } = await run('events', 'replay', 'python', '--from', '1h')
    t.equal(code, 0)
    t.match(output, /^1 replayed to python\n2 not replayed: python gets them anyway/)
    t.match(output, /python is a plain Redis Streams group: .* XREADGROUP with > does not return them\./)
    const [, command = ''] = /(XAUTOCLAIM \S+ \S+ READER MIN-IDLE-MS 0)/.exec(output) ?? []
    const [name = '', ...args] = command.replace('READER', 'w1').replace('MIN-IDLE-MS', '0').split(' ')
    const claimed = (await redis.client.call(name, ...args)) as [string, [string, string[]][]]
    t.same(
      claimed[1].map(([id]) => id),
      entries?.map(([id]) => id),
      'the command of the message returns them: the replayed one, and the pending one'
    )
  })
})

t.test('events ends quietly when the reader of its output is gone', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const pipeline = redis.client.pipeline()
  for (let index = 0; index < 2000; index++) {
    pipeline.xadd(
      'cio:events:{0}',
      '*',
      'type',
      'io.customer.email.sent',
      'event',
      cloudEventText(`e${index}`)
    )
  }
  await pipeline.exec()
  for (const args of ['--count 2000', '--count 2000 --json', '--count 2000 --follow']) {
    const line = `"$0" "$1" events ${args} | head -1 | wc -l; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = await promisify(execFile)(
      'bash',
      ['--norc', '-c', line, process.execPath, MAIN],
      {
        env: { PATH: process.env['PATH'], REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY }
      }
    )
    t.same([stdout, stderr], ['1\n2\n', ''], args)
  }
})
