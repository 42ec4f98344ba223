import t from 'tap'
import { Secret } from '../../../src/secret.ts'
import type { Result } from '../../../src/tools/doctor/check.ts'
import { runChecks } from '../../../src/tools/doctor/run-checks.ts'
import { PROXY_ADDRESS, startDocumentedNginx } from '../../helpers/documented-nginx.ts'
import { startRedis } from '../../helpers/redis.ts'
import { startTestService } from '../../helpers/service.ts'
import { KEY, WEBHOOK_PATH } from '../../helpers/sign.ts'

const SECRET = new Secret(KEY)

const redis = await startRedis()
t.teardown(() => redis.stop())

const byStatus = (results: readonly Result[], status: Result['status']): readonly string[] =>
  results.filter(result => result.status === status).map(({ check, observed }) => `${check.id}: ${observed}`)
const ids = (results: readonly Result[], status: Result['status']): readonly string[] =>
  results.filter(result => result.status === status).map(({ check }) => check.id)

/** Without the checks that take seconds; they ran twice above. */
const QUICK = { skip: ['stalled-body', 'slow-body'] }

const NO_TLS = ['tls-certificate', 'tls-expiry']

t.test('no check fails on our own service', async t => {
  const service = await startTestService({ REDIS_URL: redis.url, CIO_KEY_PREFIX: 'alone:' })
  t.teardown(() => service.close())
  const url = new URL(`${service.url}${WEBHOOK_PATH}`)
  const { results } = await runChecks({ url, key: SECRET, now: Date.now })

  t.same(byStatus(results, 'fail'), [])
  t.same(ids(results, 'skip'), NO_TLS)
  t.same(ids(results, 'warn'), ['body-scheme', 'metrics'])
  const entries = await redis.client.xrange('alone:events:{0}', '-', '+')
  const types = new Set(entries.map(([, fields]) => fields[1]))
  t.same([...types], ['io.customer.doctor'], 'consumers can drop all events by one type')
})

t.test('no check fails on our own service behind nginx', async t => {
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_KEY_PREFIX: 'nginx:',
    TRUSTED_PROXIES: PROXY_ADDRESS
  })
  t.teardown(() => service.close())
  const nginx = await startDocumentedNginx(service.port)
  t.teardown(() => nginx.stop())
  const url = new URL(`${nginx.origin}${WEBHOOK_PATH}`)
  const { results } = await runChecks({ url, key: SECRET, now: Date.now })

  t.same(byStatus(results, 'fail'), [])
  t.same(ids(results, 'skip'), NO_TLS)
  t.same(ids(results, 'warn'), ['body-scheme'])
})

t.test('from an address that is not allowed no check fails, and forged headers have no effect', async t => {
  const service = await startTestService({
    REDIS_URL: redis.url,
    NODE_ENV: 'production',
    CIO_KEY_PREFIX: 'forbidden:'
  })
  t.teardown(() => service.close())
  const url = new URL(`${service.url}${WEBHOOK_PATH}`)
  const { results } = await runChecks({ url, key: SECRET, now: Date.now }, QUICK)

  t.same(byStatus(results, 'fail'), [])
  t.same(
    ids(results, 'pass').filter(id => id.startsWith('forged')),
    ['forged-forwarded-for', 'forged-forwarded-twice', 'forged-forwarded-ipv6', 'forged-other-headers']
  )
  t.ok(ids(results, 'skip').includes('authentic'))
  t.equal(await redis.client.exists('forbidden:events:{0}'), 0)
})

t.test('a doctor that is a trusted proxy itself gets a warning, not a failure', async t => {
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_KEY_PREFIX: 'proxy:',
    TRUSTED_PROXIES: '127.0.0.1'
  })
  t.teardown(() => service.close())
  const url = new URL(`${service.url}${WEBHOOK_PATH}`)
  const { results } = await runChecks({ url, key: SECRET, now: Date.now }, QUICK)
  t.same(byStatus(results, 'fail'), [])
  t.ok(ids(results, 'warn').includes('forged-forwarded-for'))
})

t.test('a service without its Redis is unavailable, and no other check fails', async t => {
  const away = await startRedis()
  const service = await startTestService({ REDIS_URL: away.url })
  t.teardown(() => service.close())
  await away.stop()
  const url = new URL(`${service.url}${WEBHOOK_PATH}`)
  const { results } = await runChecks({ url, key: SECRET, now: Date.now }, QUICK)
  t.same(ids(results, 'fail'), ['authentic'])
  t.match(byStatus(results, 'fail')[0], /cannot keep events: 503/)
})
