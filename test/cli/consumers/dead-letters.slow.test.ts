import { createServer } from 'node:net'
import t from 'tap'
import { deadLetters } from '../../../src/group/dead-letters.ts'
import { runToEnd } from '../../helpers/command.ts'
import { deliveryBody as body, openConsumers } from '../../helpers/consumers.ts'
import { consumersFile, httpConsumer, natsConsumer } from '../../helpers/consumers-file.ts'
import { runCommand } from '../../helpers/process.ts'
import { answers } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort, until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'
import { onTerminal } from '../../helpers/terminal.ts'

t.setTimeout(600_000)

t.test('dead letters: listed, replayed and dropped', async t => {
  const { redis, receiver, service, run, json } = await openConsumers(t)
  await service.post(body('good'))
  await until('delivered', async () => receiver.requests.length === 1)

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
      error: 'status 500',
      attempts: 2,
      event: { id: 'bad-1', type: 'io.customer.email.opened', data: { event_id: 'bad-1' } }
    })
    t.match((await run('consumers', 'dead', 'crm')).output, / bad-1 +email\.opened +2 /)
    const list = await run('consumers')
    t.equal(list.code, 1)
    t.match(list.output, /^CONSUMER +TYPE +STATE +LAG +PENDING +OLDEST +DEAD +MEMBERS +LAST FAILURE\n/)
    t.match(list.output, /^crm +http +failing \d+ s +0 +0 +- +2 +1 +status 500\n/m)

    receiver.behave(answers(200))
    const before = receiver.requests.length
    t.same((await json('consumers', 'replay', 'crm', letters[0].id)).value, {
      replayed: 1,
      left: [],
      notWanted: 0,
      unknown: [],
      interrupted: false
    })
    await until('replayed', async () => receiver.requests.length === before + 1)
    t.same((await json('consumers', 'drop', 'crm', '--all', '--yes')).value, {
      dropped: 1,
      unknown: [],
      interrupted: false
    })
    t.match((await run('consumers', 'dead', 'crm')).output, 'no dead letters')
  })

  await t.test('a dead letter whose event was trimmed meanwhile is sent from the dead letter', async t => {
    receiver.behave(answers(500))
    await service.post(body('trimmed'))
    await until('a dead letter', async () => (await redis.client.xlen('cio:dead:crm')) === 1)
    await redis.client.xtrim('cio:events:{0}', 'MAXLEN', 0)
    receiver.behave(answers(200))
    const before = receiver.requests.length
    t.same((await json('consumers', 'replay', 'crm', '--all')).value, {
      replayed: 1,
      left: [],
      notWanted: 0,
      unknown: [],
      interrupted: false
    })
    await until('replayed', async () => receiver.requests.length === before + 1)
    t.equal(receiver.requests.at(-1)?.headers['webhook-id'], 'trimmed')
  })
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

t.test('many dead letters: chosen by filter, replayed at a rate, and dropped after a question', async t => {
  const { redis, receiver, run, json, env } = await openConsumers(t)
  const letters = deadLetters(redis.client, 'cio:')
  const attempt = { attempt: 1, atMs: 1795510800000, answer: '503', durationMs: 12 }
  const add = async (id: string, metric: string, reason: 'failed' | 'interrupted') => {
    const type = `io.customer.email.${metric}`
    const event = JSON.stringify({ specversion: '1.0', id, source: '/customerio/default', type })
    const failure = { reason, error: new Error('as a test'), attempts: 1, lastAttempts: [attempt] }
    await letters.add('crm', { type, event, position: '0-1-0' }, failure)
  }
  for (let index = 0; index < 20; index++) {
    await add(`e${index}`, index % 2 ? 'clicked' : 'opened', index < 5 ? 'interrupted' : 'failed')
  }
  const count = async (...filter: string[]): Promise<number> =>
    (await json('consumers', 'dead', 'crm', ...filter)).value.length

  await t.test('each filter chooses, and several choose together', async t => {
    t.equal(await count('--type', 'email.clicked'), 10)
    t.equal(await count('--reason', 'interrupted'), 5)
    t.equal(await count('--reason', 'interrupted', '--type', '*.opened'), 3)
    t.equal(await count('--since', '1h'), 20)
    t.equal(await count('--since', '2099-01-01'), 0)
    t.equal(await count('--count', '7'), 7)
    const { output } = await run('consumers', 'dead', 'crm', '--count', '1')
    t.match(output, / 1 +503 +interrupted: Error: as a test\n$/, 'with the answers of the last attempts')
    const { value } = await json('consumers', 'show', 'crm')
    t.same(value.deadByReason, { failed: 15, interrupted: 5 })
  })

  await t.test('unknown ids are named, exit 1, and the known ones are still dropped', async t => {
    const [{ id }] = (await json('consumers', 'dead', 'crm')).value
    const { code, stdout, stderr } = await runToEnd(
      ['consumers', 'drop', 'crm', 'x', id, '1-1', '--json'],
      env
    )
    t.same([code, JSON.parse(stdout)], [1, { dropped: 1, unknown: ['x', '1-1'], interrupted: false }])
    t.match(stderr, /there is no dead letter "x"\n.*there is no dead letter "1-1"\n/)
    t.match(await run('consumers', 'replay', 'crm', '1-1'), { code: 1, output: 'no dead letter "1-1"' })
    t.equal(await count(), 19)
  })

  await t.test('a replay keeps the rate, and continues after it was interrupted', async t => {
    const before = receiver.requests.length
    const command = runCommand(['consumers', 'replay', 'crm', '--all', '--rate', '4'], env)
    await until('two arrived', async () => receiver.requests.length >= before + 2)
    command.process.kill('SIGINT')
    t.equal(await command.ended, 1)
    t.match(command.output(), /interrupted: the same command continues with the rest/)
    const left = await count()
    t.ok(left > 10 && left < 18, `${left} left`)
    const started = performance.now()
    const { code, value } = await json('consumers', 'replay', 'crm', '--type', '*.opened', '--rate', '4')
    t.same([code, value.interrupted], [0, false])
    t.ok(performance.now() - started >= (value.replayed - 1) * 240, 'not faster')
    t.equal(await count('--type', '*.opened'), 0)
    t.ok((await count()) > 0, 'the others are left')
  })

  await t.test('those of a type that the consumer no longer wants stay, and are counted', async t => {
    const clicked = await count('--type', 'email.clicked')
    t.ok(clicked > 1)
    const file = consumersFile(httpConsumer('crm', receiver.url, { types: ['email.opened'] }))
    const narrowed = { ...env, CONSUMERS_FILE: file }
    const before = receiver.requests.length
    const { code, stdout } = await runToEnd(['consumers', 'replay', 'crm', '--all'], narrowed)
    t.equal(code, 1)
    t.match(stdout, new RegExp(`\\n${clicked} not replayed: the consumer does not want them\\n$`))
    t.match(
      stdout,
      /^0 replayed\n\d+-\d+: crm does not want its type email\.clicked \(types in CONSUMERS_FILE\)\n/
    )
    t.equal(receiver.requests.length, before)
    t.equal(await count(), clicked)
  })

  await t.test('on a terminal, the progress is a share of what was chosen', async t => {
    await add('one', 'sent', 'failed')
    const output = await onTerminal(['consumers', 'replay', 'crm', '--type', 'email.sent'], env)
    t.match(output, /100 % 1 of 1 handled/)
    t.match(output, '1 replayed')
  })

  await t.test('drop --all asks on a terminal, and deletes only after yes', async t => {
    const before = await count()
    for (const [answer, left] of [
      ['y', before],
      ['yes', 0]
    ] as const) {
      const output = await onTerminal(['consumers', 'drop', 'crm', '--all'], env, answer)
      t.match(output, /delete all dead letters of crm\. This cannot be undone\. Type yes to continue:/)
      t.match(output, left === 0 ? `${before} dropped` : 'nothing was deleted')
      t.equal(await count(), left)
    }
  })
})

t.test('all dead letters are chosen, also where the clock of Redis is ahead', async t => {
  const { redis, json } = await openConsumers(t)
  const id = `${Date.now() + 60_000}-0`
  const event = JSON.stringify({ specversion: '1.0', id: 'e', source: '/customerio/default', type: 'x' })
  const fields = { partition: '0', id: '1-0', type: 'io.customer.email.sent', event, reason: 'failed' }
  await redis.client.xadd('cio:dead:crm', id, ...Object.entries(fields).flat())
  t.equal((await json('consumers', 'dead', 'crm')).value.length, 1)
  t.match(await json('consumers', 'drop', 'crm', '--all', '--yes'), { code: 0, value: { dropped: 1 } })
  t.equal(await redis.client.xlen('cio:dead:crm'), 0)
})

t.test('dead letters of a removed consumer are listed until they are dropped', async t => {
  const { redis, run, json } = await openConsumers(t)
  await redis.client.xgroup('CREATE', 'cio:events:{0}', 'old', '0', 'MKSTREAM')
  const failure = { reason: 'failed', error: new Error('as a test'), attempts: 1 } as const
  const type = 'io.customer.email.sent'
  const event = JSON.stringify({ specversion: '1.0', id: 'e', source: '/customerio/default', type })
  const entry = { type, event, position: '0-1-0' } as const
  await deadLetters(redis.client, 'cio:').add('old', entry, failure)
  t.match((await run('consumers', 'remove', 'old')).output, 'it still has 1 dead letter')
  const { code, output } = await run('consumers')
  t.equal(code, 1)
  t.match(output, '\nremoved, but with dead letters: old (1). List them: cio-webhook consumers dead <name>.')
  t.match((await json('consumers')).value.removedConsumers, [{ name: 'old', dead: 1, removedAtMs: Number }])
  t.match((await run('status')).output, 'old was removed, but it still has 1 dead letter.')
  t.match((await run('consumers', 'replay', 'old', '--all')).output, 'old has no consumer group yet')
  t.equal((await run('consumers', 'drop', 'old', '--all', '--yes')).code, 0)
  t.same((await json('consumers')).value.removedConsumers, [])
  t.equal(await redis.client.exists('cio:removed'), 0)
})
