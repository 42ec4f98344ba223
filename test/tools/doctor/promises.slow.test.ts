import t from 'tap'
import { eventType } from '../../../src/event-types.ts'
import { Secret } from '../../../src/secret.ts'
import { allChecks, runChecks, selectChecks, UnreachableError } from '../../../src/tools/doctor/run-checks.ts'
import { freePort } from '../../helpers/server.ts'
import { KEY, WEBHOOK_PATH } from '../../helpers/sign.ts'
import { objectOf, startReceiver } from './receiver.ts'

const SECRET = new Secret(KEY)

t.test('a run sends what it announces, and nothing else', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const { results } = await runChecks({ url: receiver.url, key: SECRET, now: Date.now }, { burst: 5 })

  for (const { check, requests } of results) {
    t.ok(requests <= check.requests, `${check.id}: ${requests} of ${check.requests} requests`)
  }
  const sent = results.reduce((sum, { requests }) => sum + requests, 0)
  t.equal(receiver.requests.length, sent)
  t.same([...new Set(receiver.requests.map(({ url }) => url))].toSorted(), [
    WEBHOOK_PATH,
    '/healthz',
    '/metrics'
  ])
  t.same([...new Set(receiver.requests.map(({ userAgent }) => userAgent))], ['cio-webhook-doctor'])
})

t.test('everything that an endpoint keeps is marked as the doctor’s', async t => {
  const receiver = await startReceiver({ verifies: false })
  t.teardown(() => receiver.close())
  await runChecks({ url: receiver.url, key: SECRET, now: Date.now })
  const right = await startReceiver()
  t.teardown(() => right.close())
  await runChecks({ url: right.url, key: SECRET, now: Date.now })

  const kept = [...receiver.kept, ...right.kept]
  t.ok(kept.length > 20, `${kept.length} kept`)
  for (const body of kept) {
    const payload = objectOf(body)
    if (payload === undefined) t.match(body.toString('utf8'), 'cio-webhook doctor')
    else t.equal(eventType(payload), 'io.customer.doctor')
  }
})

t.test('a read-only run needs no key, and a correct endpoint keeps nothing of it', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  for (const key of [undefined, SECRET]) {
    const { results } = await runChecks({ url: receiver.url, key, now: Date.now }, { readOnly: true })
    t.same(receiver.kept, [])
    t.same(
      results.filter(({ status }) => status === 'fail'),
      []
    )
    t.ok(results.some(({ check, status }) => check.id === 'no-signature' && status === 'pass'))
  }
})

t.test('a read-only run finds an endpoint that verifies nothing', async t => {
  const receiver = await startReceiver({ verifies: false })
  t.teardown(() => receiver.close())
  const { results } = await runChecks(
    { url: receiver.url, key: undefined, now: Date.now },
    { readOnly: true }
  )
  t.same(
    results.filter(({ status }) => status === 'fail').map(({ check }) => check.id),
    ['no-signature']
  )
})

t.test('a read-only run finds a forged address if the address is checked first', async t => {
  const receiver = await startReceiver({
    addressOf: ({ headers, socket }) =>
      String(headers['x-forwarded-for'] ?? '')
        .split(',')[0]
        ?.trim() || String(socket.remoteAddress),
    allowed: address => address.startsWith('35.')
  })
  t.teardown(() => receiver.close())
  const { results } = await runChecks(
    { url: receiver.url, key: undefined, now: Date.now },
    { readOnly: true }
  )
  t.same(
    results.filter(({ status }) => status === 'fail').map(({ check }) => check.id),
    ['forged-forwarded-for']
  )
})

t.test('without a connection there is no report', async t => {
  const url = new URL(`http://127.0.0.1:${await freePort()}${WEBHOOK_PATH}`)
  await t.rejects(runChecks({ url, key: SECRET, now: Date.now }), UnreachableError)
})

t.test('every check has all its texts, and an id of its own', async t => {
  const checks = allChecks()
  t.equal(new Set(checks.map(({ id }) => id)).size, checks.length)
  for (const { id, after = [], ...texts } of checks) {
    t.match(id, /^[a-z0-9]+(-[a-z0-9]+)*$/)
    for (const name of ['title', 'sends', 'expects', 'why', 'remedy'] as const)
      t.ok(texts[name], `${id} ${name}`)
    for (const other of after)
      t.ok(checks.findIndex(check => check.id === other) < checks.findIndex(check => check.id === id))
  }
})

t.test('a check can be left out, but not the one that all others depend on', async t => {
  const left = selectChecks({ skip: ['metrics', 'authentic'] }).map(({ id }) => id)
  t.notOk(left.includes('metrics'))
  t.ok(left.includes('authentic'))
})
