import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { deadLetters } from '../../../src/group/dead-letters.ts'
import { parseDelivery, toLogEntry } from '../../../src/receive/log-entry.ts'
import type { VerifiedBody } from '../../../src/receive/signature.ts'
import { runToEnd } from '../../helpers/command.ts'
import { consumersFile, httpConsumer, natsConsumer } from '../../helpers/consumers-file.ts'
import { cloudEventText } from '../../helpers/outgoing.ts'
import { runCommand } from '../../helpers/process.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort, until } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'
import { KEY } from '../../helpers/sign.ts'
import { testSource } from '../../helpers/source.ts'

t.setTimeout(300_000)

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

const body = (id: string, metric = 'opened'): string =>
  JSON.stringify({
    event_id: id,
    object_type: 'email',
    metric,
    timestamp: 1795510800,
    data: { customer_id: id }
  })

/** A body that is parked, though it can be read: as a version with other rules would have. */
function parkedEntry(text: string) {
  const context = {
    source: testSource(),
    timestamp: '1795510800',
    idHeader: undefined,
    receivedAtMs: Date.now(),
    parkedAs: undefined,
    fromDoctor: false
  }
  const broken = parseDelivery(Buffer.from('{') as VerifiedBody, context)
  const whole = Buffer.from(text) as VerifiedBody
  return toLogEntry({ ...broken, body: whole })
}

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
  return { redis, receiver, service, run, json, env }
}

t.test('consumers: their state, dead letters and parked deliveries', async t => {
  const { redis, receiver, service, run, json, env } = await open(t)
  await service.post(body('good'))
  await until('delivered', async () => receiver.requests.length === 1)

  const statusOf = async (consumer: string) =>
    (await json('consumers')).value.consumers.find(({ name }: { name: string }) => name === consumer)

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
    t.match(letters[0], {
      id: /^\d+-\d+$/,
      reason: 'failed',
      error: 'AttemptFailed: status 500',
      attempts: 2,
      event: { id: 'bad-1', type: 'io.customer.email.opened', data: { event_id: 'bad-1' } }
    })
    const list = await run('consumers')
    t.equal(list.code, 1)
    t.match(
      list.output,
      /^CONSUMER +TYPE +STATE +LAG +PENDING +OLDEST +DEAD +FAILURES +LAST FAILURE +MEMBERS\n/
    )
    t.match(list.output, /^crm +http +ok +0 +0 +- +2 +4 +status 500 +1\n/m)

    receiver.behave(answers(200))
    const before = receiver.requests.length
    t.same((await json('consumers', 'replay', 'crm', letters[0].id)).value, { replayed: 1, left: [] })
    await until('replayed', async () => receiver.requests.length === before + 1)
    t.same((await json('consumers', 'drop', 'crm', '--all')).value, { dropped: 1 })
    t.match((await run('consumers', 'dead', 'crm')).output, 'no dead letters')
  })

  await t.test('a dead letter whose event was trimmed meanwhile is sent from the dead letter', async t => {
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

  await t.test('a group without members is shown, keeps its place, and can be removed', async t => {
    await redis.client.xgroup('CREATE', 'cio:events:{0}', 'forgotten', '0')
    await service.post(body('unread'))
    t.match(await statusOf('forgotten'), { state: 'no_members', type: 'library', members: 0 })
    t.match((await run('consumers')).output, 'no active members: forgotten.')
    t.equal((await run('consumers', 'remove', 'crm')).code, 2, 'not one with members')
    t.equal((await run('consumers', 'remove', 'forgotten')).code, 0)
    const groups = (await redis.client.xinfo('GROUPS', 'cio:events:{0}')) as unknown[]
    t.equal(groups.length, 1)
  })

  await t.test(
    'a plain Redis Streams group is of type redis, and ok while its consumers are active',
    async t => {
      await redis.client.xgroup('CREATE', 'cio:events:{0}', 'plain', '0')
      for (const consumer of ['python-1', 'python-2']) {
        await redis.client.xreadgroup(
          'GROUP',
          'plain',
          consumer,
          'COUNT',
          1,
          'STREAMS',
          'cio:events:{0}',
          '>'
        )
      }
      t.match(await statusOf('plain'), { type: 'redis', state: 'ok', members: 2, pending: 2 })
      t.match((await run('consumers')).output, /^plain +redis +ok +\d+ +2 .* 2$/m)
      const refused = await run('consumers', 'remove', 'plain')
      t.same([refused.code, /active members \(2\)/.test(refused.output)], [2, true])
      for (const consumer of ['python-1', 'python-2']) {
        await redis.client.xgroup('DELCONSUMER', 'cio:events:{0}', 'plain', consumer)
      }
      t.match(await statusOf('plain'), { state: 'no_members', members: 0 })
      t.equal((await run('consumers', 'remove', 'plain')).code, 0)
    }
  )

  await t.test('parked deliveries are listed with all but their bodies', async t => {
    await service.post('{not json')
    await service.post('[1, 2]')
    const { value } = await json('consumers', 'parked')
    t.match(value, [
      { source: 'default', reason: 'not_json', offset: 1, bytes: 9, keyId: /^\w{8}$/, body: 'sealed' },
      { source: 'default', reason: 'not_an_object', bytes: 6, sha256: /^\w{64}$/ }
    ])
    const monitor = await redis.client.monitor()
    const commands: string[] = []
    monitor.on('monitor', (_, [name, key]) => key?.includes('parked') && commands.push(`${name} ${key}`))
    t.match((await run('consumers')).output, 'parked deliveries: 2')
    t.same(commands, ['xlen cio:parked:{0}'], 'counted without their bodies')
    monitor.disconnect()
    const list = (await run('consumers', 'parked')).output
    t.match(list, /^DELIVERY +AGE +SOURCE +REASON +OFFSET +BYTES\n/)
    t.match(list, /^0-\d+-\d+ +\d+ s +default +not_json +1 +9\n/m)
    const shown = await json('consumers', 'parked', 'show', value[0].delivery)
    t.same([shown.code, shown.value], [0, value[0]])
    t.match((await run('consumers', 'parked', 'show', value[0].delivery)).output, /^reason +not_json$/m)
  })

  await t.test(
    'a body is revealed as it came where its key is, and nothing of it where it is not',
    async t => {
      const [{ delivery, id }] = (await json('consumers', 'parked')).value
      for (const name of [delivery, id]) {
        const revealed = await run('consumers', 'parked', 'show', name, '--reveal')
        t.same(revealed, { code: 0, output: '{not json' })
      }

      const large = Buffer.concat([Buffer.alloc(5 * 1024 * 1024 - 1, 'x'), Buffer.of(0xff)])
      await service.post(large)
      const { delivery: ofLarge } = (await json('consumers', 'parked')).value.at(-1)
      const whole = await runToEnd(['consumers', 'parked', 'show', ofLarge, '--reveal'], env)
      t.equal(whole.stdout.length, large.length)
      t.equal((await json('consumers', 'drop-parked', ofLarge)).value.dropped, 1)

      for (const [name, code, secrets] of [
        ['as the previous key', 0, { CIO_WEBHOOK_SECRET: 'new-key', CIO_WEBHOOK_SECRET_PREVIOUS: KEY }],
        ['gone', 1, { CIO_WEBHOOK_SECRET: 'new-key' }]
      ] as const) {
        const { stdout, stderr, ...other } = await runToEnd(
          ['consumers', 'parked', 'show', delivery, '--reveal'],
          {
            ...env,
            ...secrets
          }
        )
        t.same([other.code, stdout], [code, code === 0 ? '{not json' : ''], name)
        if (code === 1) t.match(stderr, /signing key \w{8} of the source default, which is not configured/)
      }
    }
  )

  await t.test('replayed, an event enters the log; the others stay, with a reason', async t => {
    const [first, second] = (await json('consumers', 'parked')).value
    const { code, value } = await json('consumers', 'replay-parked', '--all')
    const left = [
      { delivery: first.delivery, why: 'it is still not an event: not_json' },
      { delivery: second.delivery, why: 'it is still not an event: not_an_object' }
    ]
    t.same([code, value], [1, { replayed: 0, left }])

    const before = receiver.requests.length
    const { type, event } = parkedEntry(body('parked-once'))
    const id = await redis.client.xadd('cio:parked:{0}', '*', 'type', type, 'event', event)
    const replayed = await json('consumers', 'replay-parked', `0-${id}`)
    t.same([replayed.code, replayed.value], [0, { replayed: 1, left: [] }])
    await until('delivered', async () => receiver.requests.length === before + 1)
    t.equal(receiver.requests.at(-1)?.headers['webhook-id'], 'parked-once')
    t.same((await service.post(body('parked-once'))).body, { status: 'duplicate', id: 'parked-once' })

    t.same((await json('consumers', 'drop-parked', '--all')).value, { dropped: 2 })
    t.equal(await redis.client.xlen('cio:parked:{0}'), 0)
  })

  for (const args of [
    ['consumers', 'dead'],
    ['consumers', 'dead', 'nobody'],
    ['consumers', 'replay', 'nobody', '--all'],
    ['consumers', 'replay', 'crm'],
    ['consumers', 'replay', 'crm', '1-1', '--all'],
    ['consumers', 'replay', 'crm', '1-1'],
    ['consumers', 'drop', 'crm', 'x'],
    ['consumers', 'drop', 'nobody', '1-1'],
    ['consumers', 'enable', 'nobody'],
    ['consumers', 'parked', 'x'],
    ['consumers', 'parked', 'show'],
    ['consumers', 'parked', 'show', '0-1-1'],
    ['consumers', 'parked', 'show', '0'.repeat(64)],
    ['consumers', 'parked', 'show', '0-1-1', '--reveal'],
    ['consumers', 'replay-parked', 'x'],
    ['consumers', 'replay-parked', '0-1-1', '--all'],
    ['consumers', 'explode'],
    ['consumers', '--count', '0'],
    ['consumers', 'x', 'y'],
    ['events', 'x'],
    ['events', 'replay'],
    ['events', 'replay', 'crm'],
    ['events', 'replay', 'crm', '--from', '1h', '--follow'],
    ['events', 'replay', 'nobody', '--from', '1h'],
    ['events', '--from', 'yesterday'],
    ['events', '--type', 'a b']
  ]) {
    await t.test(`${args.join(' ')}: is refused in one line, exit 2`, async t => {
      const { code, output } = await run(...args)
      t.equal(code, 2)
      t.match(output, /^cio-webhook (consumers|events): [^\n]+\n$/)
    })
  }
})

t.test('events: the newest, filtered, followed, and replayed for one consumer', async t => {
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
  t.same((await json('events', 'replay', 'crm', ...range)).value, { replayed: 2 })
  await until('replayed', async () => receiver.requests.length === before + 2)
  t.same(
    receiver.requests.slice(before).map(({ headers }) => headers['webhook-id']),
    ['e4', 'e6']
  )
  t.equal((await run('events', 'replay', 'crm', '--from', '2h', '--to', '1h')).code, 1)

  await service.post('{"event_id":"exact","data":{"customer_id":8202522731445525542,"price":19.90}}')
  const digits = '"customer_id":8202522731445525542,"price":19.90'
  t.match((await run('events', '--json', '--id', 'exact')).output, digits, 'numbers as they came')
  await until('delivered', async () => receiver.requests.length === before + 3)
  t.match(receiver.requests.at(-1)?.body, digits)
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

t.test('dead letters of an unreachable consumer stay, and only the first is waited for', async t => {
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
    const failure = { reason: 'failed', error: new Error('as a test'), attempts: 3 } as const
    await letters.add('bridge', { type, event, position: '0-1-0' }, failure)
  }
  const started = performance.now()
  const command = runCommand(['consumers', 'replay', 'bridge', '--all', '--json'], env)
  t.equal(await command.ended, 1)
  const why = 'it is no longer in the log, and could not be sent to the consumer'
  t.match(JSON.parse(command.output()), { replayed: 0, left: [{ why }, { why }, { why }] })
  t.ok(performance.now() - started < 25_000, 'waited for once')
  t.equal(await letters.count('bridge'), 3)
})
