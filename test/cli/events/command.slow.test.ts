import { createHmac } from 'node:crypto'
import t from 'tap'
import { runToEnd } from '../../helpers/command.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { runCommand } from '../../helpers/process.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'
import { KEY } from '../../helpers/sign.ts'

t.setTimeout(600_000)

const HASH_KEY = 'a-key-of-the-hashes'
const [redis, receiver] = [await startRedis(), await startReceiver(answers(500))]
const env = {
  REDIS_URL: redis.url,
  CIO_WEBHOOK_SECRET: KEY,
  PII_HASH_KEY: HASH_KEY,
  CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url, { maxAttempts: 1 }))
}
const service = await startTestService({ ...env, PARTITIONS: '3' })
t.teardown(async () => {
  await service.close()
  await receiver.stop()
  await redis.stop()
})
const run = (args: string, input?: string, changes = {}) =>
  runToEnd(['events', ...args.split(' ')], { ...env, ...changes }, input)

const deliveries = [
  ['a', 'email', 'opened', { customer_id: '42', recipient: 'ada@example.com' }],
  ['b', 'email', 'clicked', { customer_id: '42', identifiers: { email: 'Ada@Example.com' } }],
  ['c', 'push', 'opened', { customer_id: '43' }],
  ['d', 'customer', 'subscribed', { customer_id: 'ada@example.com' }],
  ['e', 'email', 'opened', { customer_id: '44', recipient: 'bob@example.com' }]
] as const
for (const [id, object_type, metric, data] of deliveries) {
  const body = { event_id: id, object_type, metric, timestamp: 1795510800, data }
  await service.post(JSON.stringify(body).replace('"customer_id"', '"big":8202522731445525542,"customer_id"'))
}

const idsOf = async (args: string, input?: string) => {
  const { stdout } = await run(`${args} --json`, input)
  const lines = stdout.split('\n').filter(line => line !== '')
  return lines.map(line => JSON.parse(line).event.id).join('')
}

for (const [args, expected] of [
  ['--from 1h', 'abcde'],
  ['--count 2', 'de'],
  ['--customer 42', 'ab'],
  ['--customer ada@example.com', 'd'],
  ['--email ADA@example.com', 'abd'],
  ['--email -', 'abd'],
  ['--email - --customer 42 --type *.opened', 'a'],
  ['--type email.opened', 'ae'],
  ['--type io.customer.email.opened', 'ae'],
  ['--type io.customer.email.* --id a --id b --id c', 'ab']
] as const) {
  t.test(`events ${args}: finds the events, oldest first`, async t => {
    t.equal(await idsOf(args, 'ada@example.com\n'), expected)
  })
}

t.test('nothing found: standard error says what was searched, exit 1', async t => {
  const none = { code: 1, stdout: '' }
  const time = String.raw`\d{4}-\S+Z`
  const searched = new RegExp(
    `^cio-webhook events: no events match; searched 5 events, received ${time} to ${time}\n$`
  )
  t.match(await run('--id nothing'), { ...none, stderr: searched })
  t.match(await run('--to 2h'), {
    ...none,
    stderr: /no events match: the log has none in this time range\n$/
  })
  const { PII_HASH_KEY, ...withoutKey } = env
  const other = await runToEnd(['events', '--email', '-'], withoutKey, 'ada@example.com')
  t.match(other, {
    ...none,
    stderr: /The address was hashed without PII_HASH_KEY: if the service has one, set it here/
  })
  t.notMatch(other.stderr, 'ada@', 'no address in a message')
})

t.test('a text that is not an address is refused without repeating it, exit 2', async t => {
  const { code, stderr } = await run('--email -', 'Ada Lovelace')
  t.same([code, stderr], [2, 'cio-webhook events: --email: this is not an e-mail address\n'])
})

t.test('show: the event with all digits, its position, and what each consumer did', async t => {
  await until('dead letters', async () => (await redis.client.xlen('cio:dead:crm')) === 5)
  const { code, stdout } = await run('show b')
  t.equal(code, 0)
  for (const line of [
    /^event {5}b$/m,
    /^type {6}email\.clicked$/m,
    /^source {4}default$/m,
    /^customer {2}42$/m,
    /^happened {2}2026-11-24T09:00:00\.000Z$/m,
    /^received {2}\d{4}-\S+Z$/m,
    /^appended {2}\d{4}-\S+Z$/m,
    /^position {2}[012]-\d+-\d+$/m,
    /"big": 8202522731445525542,/,
    /^crm +dead +\d+-\d+: failed after 1 attempt: status 500$/m
  ]) {
    t.match(stdout, line)
  }
  t.match(stdout, createHmac('sha256', HASH_KEY).update('ada@example.com').digest('hex'))
  const json = await run('show default/b --json')
  t.match(json.stdout, '"big":8202522731445525542')
  t.match(JSON.parse(json.stdout), [
    { id: 'b', source: 'default', consumers: [{ consumer: 'crm', state: 'dead' }] }
  ])
})

t.test('show: an unknown id, exit 1 and what to check', async t => {
  const { code, stdout, stderr } = await run('show nothing')
  t.same([code, stdout], [1, ''])
  t.match(
    stderr,
    /^cio-webhook events: no event "nothing" in the log or among the dead letters\. .*EVENT_RETENTION_SECONDS.*\n$/
  )
})

t.test('show: an event that would move the cursor is escaped', async t => {
  const event = JSON.stringify({
    specversion: '1.0',
    id: 'evil',
    source: '/customerio/default',
    type: 'io.customer.unknown',
    data: {}
  })
  const text = event.replace('"data":{}', `"data":{"x":"\u202e\u009b2J"}`)
  await redis.client.xadd('cio:events:{0}', '*', 'type', 'io.customer.unknown', 'event', text)
  const { stdout } = await run('show evil')
  t.match(stdout, String.raw`"x": "\u202e\u009b2J"`)
  t.notMatch(stdout, /[\u202e\u009b]/)
})

t.test('--follow shows an event that arrives while the search begins once, and leaves none out', async t => {
  const busy = await startRedis()
  t.teardown(() => busy.stop())
  const type = 'io.customer.email.sent'
  const append = async (number: number): Promise<void> => {
    const event = { specversion: '1.0', id: `e${number}`, source: '/customerio/default', type }
    await busy.client.xadd('cio:events:{0}', '*', 'type', type, 'event', JSON.stringify(event))
  }
  const command = runCommand(['events', '--follow', '--json', '--count', '50'], { REDIS_URL: busy.url })
  let isOver = false
  const appending = (async () => {
    for (let number = 0; !isOver; number++) await append(number)
  })()
  await until('events after the search', async () => command.output().split('\n').length > 2000)
  isOver = true
  await appending
  command.process.kill('SIGINT')
  t.equal(await command.ended, 0)
  const lines = command.output().split('\n').slice(0, -1)
  const numbers = lines.map(line => Number(JSON.parse(line).event.id.slice(1)))
  const [first = 0] = numbers
  t.same(
    numbers,
    numbers.map((_, index) => first + index)
  )
})
