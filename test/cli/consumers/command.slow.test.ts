import t from 'tap'
import { deliveryBody as body, openConsumers } from '../../helpers/consumers.ts'
import { answers } from '../../helpers/receiver.ts'
import { until } from '../../helpers/server.ts'

t.setTimeout(600_000)

t.test('consumers: their state, and those that can be removed', async t => {
  const { redis, receiver, service, run, json } = await openConsumers(t)
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
    t.equal((await run('consumers', 'remove', 'forgotten')).code, 0, 'nothing ever read with it')
    const groups = (await redis.client.xinfo('GROUPS', 'cio:events:{0}')) as unknown[]
    t.equal(groups.length, 1)
  })

  await t.test('a group without members that was active within a day needs --force', async t => {
    await redis.client.xgroup('CREATE', 'cio:events:{0}', 'deployed', '0')
    const member = 'cio-webhook' // as a member of the library reads
    await redis.client.xreadgroup('GROUP', 'deployed', member, 'STREAMS', 'cio:events:{0}', '>')
    t.match(await statusOf('deployed'), { state: 'no_members', type: 'library', members: 0 })
    const refused = await run('consumers', 'remove', 'deployed')
    t.equal(refused.code, 2)
    t.match(refused.output, /deployed was active \d+ s ago\..*--force/)
    t.match(await run('consumers', 'remove', 'deployed', '--force'), { code: 0, output: 'deployed removed' })
    t.equal(await statusOf('deployed'), undefined)
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
      t.match((await run('consumers')).output, /^plain +redis +ok +\d+ +2 .* 2 +-$/m)
      const refused = await run('consumers', 'remove', 'plain')
      t.equal(refused.code, 2)
      t.match(refused.output, /plain is active, with 2 members\. Removing it deletes its position/)
      t.match(refused.output, /unread events may be trimmed.*--force/)
      for (const consumer of ['python-1', 'python-2']) {
        await redis.client.xgroup('DELCONSUMER', 'cio:events:{0}', 'plain', consumer)
      }
      t.match(await statusOf('plain'), { state: 'no_members', members: 0 })
      t.equal((await run('consumers', 'remove', 'plain')).code, 0)
    }
  )

  for (const args of [
    ['consumers', 'dead'],
    ['consumers', 'dead', 'nobody'],
    ['consumers', 'replay', 'nobody', '--all'],
    ['consumers', 'replay', 'crm'],
    ['consumers', 'replay', 'crm', '1-1', '--all'],
    ['consumers', 'replay', 'crm', '1-1', '--type', 'email.*'],
    ['consumers', 'drop', 'crm', '--all'],
    ['consumers', 'drop-parked', '--all'],
    ['consumers', 'dead', 'crm', '--type', 'a b'],
    ['consumers', 'dead', 'crm', '--reason', 'bad'],
    ['consumers', 'dead', 'crm', '--since', 'yesterday'],
    ['consumers', 'replay', 'crm', '--all', '--rate', '0'],
    ['consumers', 'show', 'nobody'],
    ['consumers', 'pause', 'nobody'],
    ['consumers', 'resume', 'nobody'],
    ['consumers', 'test', 'nobody'],
    ['consumers', '--rate', '1'],
    ['consumers', 'drop', 'nobody', '1-1'],
    ['consumers', 'enable', 'nobody'],
    ['consumers', 'parked', 'x'],
    ['consumers', 'parked', 'show'],
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
