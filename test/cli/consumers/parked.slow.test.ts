import t from 'tap'
import { allParked, createBulkActions } from '../../../src/tools/bulk/bulk-actions.ts'
import { runToEnd } from '../../helpers/command.ts'
import { deliveryBody as body, openConsumers } from '../../helpers/consumers.ts'
import { readableParkedEntry } from '../../helpers/parked.ts'
import { until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'
import { onTerminal } from '../../helpers/terminal.ts'

t.setTimeout(600_000)

t.test('parked deliveries: listed, revealed, replayed and dropped', async t => {
  const { redis, receiver, service, run, json, env } = await openConsumers(t)

  await t.test('parked deliveries are listed with all but their bodies', async t => {
    await service.post('{not json')
    await service.post('[1, 2]')
    const { value } = await json('consumers', 'parked')
    t.match(value, [
      { source: 'default', reason: 'not_json', offset: 1, bytes: 9, keyId: /^\w{8}$/, body: 'sealed' },
      { source: 'default', reason: 'not_an_object', bytes: 6, sha256: /^\w{64}$/ }
    ])
    // Every command. MONITOR fails if a command of the service comes while ioredis begins with it.
    await redis.client.config('SET', 'slowlog-max-len', '10000')
    await redis.client.config('SET', 'slowlog-log-slower-than', '0')
    t.match((await run('consumers')).output, 'parked deliveries: 2')
    const entries = (await redis.client.slowlog('GET', 10_000)) as [number, number, number, string[]][]
    await redis.client.config('SET', 'slowlog-log-slower-than', '10000')
    const commands = entries.map(([, , , args]) => args).filter(([, key]) => key?.includes('parked'))
    t.same(
      commands.map(([name, key]) => `${name} ${key}`),
      ['xlen cio:parked:{0}'],
      'counted without their bodies'
    )
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
    t.same([code, value], [1, { replayed: 0, left, unknown: [], interrupted: false }])

    const before = receiver.requests.length
    const entry = readableParkedEntry(body('parked-once'))
    const id = await redis.client.xadd('cio:parked:{0}', '*', ...entry)
    const replayed = await json('consumers', 'replay-parked', `0-${id}`)
    t.same([replayed.code, replayed.value], [0, { replayed: 1, left: [], unknown: [], interrupted: false }])
    await until('delivered', async () => receiver.requests.length === before + 1)
    t.equal(receiver.requests.at(-1)?.headers['webhook-id'], 'parked-once')
    t.same((await service.post(body('parked-once'))).body, { status: 'duplicate', id: 'parked-once' })

    const alone = await runToEnd(['consumers', 'drop-parked', '--all'], env)
    t.match(alone, { code: 2, stderr: /delete all parked deliveries: add --yes/ }, 'nobody to ask')
    const output = await onTerminal(['consumers', 'drop-parked', '--all'], env, 'no')
    t.match(output, /delete all parked deliveries\. This cannot be undone\. Type yes to continue:/)
    t.match(output, 'nothing was deleted')
    t.equal(await redis.client.xlen('cio:parked:{0}'), 2)
    t.same((await json('consumers', 'drop-parked', '--all', '--yes')).value, {
      dropped: 2,
      unknown: [],
      interrupted: false
    })
    t.equal(await redis.client.xlen('cio:parked:{0}'), 0)
  })

  await t.test('unknown deliveries are named, exit 1, and the known ones are still dropped', async t => {
    await service.post('{broken')
    const [{ delivery }] = (await json('consumers', 'parked')).value
    for (const action of ['replay-parked', 'drop-parked']) {
      const { code, stdout, stderr } = await runToEnd(
        ['consumers', action, 'x', delivery, '0-1-1', '--json'],
        env
      )
      t.match([code, JSON.parse(stdout).unknown], [1, ['x', '0-1-1']], action)
      t.match(stderr, /there is no parked delivery "x"\n.*there is no parked delivery "0-1-1"\n/)
    }
    t.equal(await redis.client.xlen('cio:parked:{0}'), 0)
    for (const id of ['0-1-1', '0'.repeat(64)]) {
      t.match(await run('consumers', 'parked', 'show', id), { code: 1, output: `no parked delivery "${id}"` })
    }
  })
})

t.test('a drop that somebody interrupts says so, exit 1, and the same command continues', async t => {
  const { redis, service, env } = await openConsumers(t)
  await service.post('{not json')
  const [[, fields] = ['', []]] = await redis.client.xrange('cio:parked:{0}', '-', '+')
  const copies = redis.client.pipeline()
  for (let copy = 0; copy < 10_000; copy++) copies.xadd('cio:parked:{0}', '*', ...fields)
  await copies.exec()
  const drop = () => runToEnd(['consumers', 'drop-parked', '--all', '--yes'], env)
  const dropping = drop()
  const lock = 'cio:bulk-lock:parked'
  await until('it runs', async () => (await redis.client.exists(lock)) === 1)
  const bulk = createBulkActions({ redis: redis.client, keyPrefix: 'cio:', now: Date.now })
  await bulk.stop(allParked)
  const { code, stdout } = await dropping
  t.equal(code, 1)
  t.match(stdout, /^\d+ dropped\ninterrupted: the same command continues with the rest\n$/)
  const left = await redis.client.xlen('cio:parked:{0}')
  t.ok(left > 0, `${left} left`)
  t.match(await drop(), { code: 0, stdout: `${left} dropped\n` })
})
