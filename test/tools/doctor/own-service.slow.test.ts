import t from 'tap'
import { Secret } from '../../../src/secret.ts'
import { examine, type Result } from '../../../src/tools/doctor/run-checks.ts'
import { PROXY_ADDRESS, startDocumentedNginx } from '../../helpers/documented-nginx.ts'
import { startRedis } from '../../helpers/redis.ts'
import { startTestService } from '../../helpers/service.ts'
import { KEY } from '../../helpers/sign.ts'

const SECRET = new Secret(KEY)

const redis = await startRedis()
t.teardown(() => redis.stop())

const byStatus = (results: readonly Result[], status: Result['status']): readonly string[] =>
  results.filter(result => result.status === status).map(({ check, saw }) => `${check.id}: ${saw}`)
const ids = (results: readonly Result[], status: Result['status']): readonly string[] =>
  results.filter(result => result.status === status).map(({ check }) => check.id)

/** What takes seconds, and is asked twice above. */
const QUICK = { skip: ['stalled-body', 'slow-body'] }

const NO_TLS = ['tls-certificate', 'tls-expiry']

t.test('all is well with our own service', async t => {
  const service = await startTestService({ REDIS_URL: redis.url, CIO_KEY_PREFIX: 'alone:' })
  t.teardown(() => service.close())
  const url = new URL(`${service.url}/api/cio/webhook`)
  const { results } = await examine({ url, key: SECRET, now: Date.now })

  t.same(byStatus(results, 'wrong'), [])
  t.same(ids(results, 'unjudged'), NO_TLS)
  t.same(ids(results, 'note'), ['body-scheme', 'metrics'])
  const entries = await redis.client.xrange('alone:events:{0}', '-', '+')
  const types = new Set(entries.map(([, fields]) => fields[1]))
  t.same([...types], ['io.customer.doctor'], 'consumers can drop all of it by one name')
})

t.test('all is well with our own service behind nginx', async t => {
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_KEY_PREFIX: 'nginx:',
    TRUSTED_PROXIES: PROXY_ADDRESS
  })
  t.teardown(() => service.close())
  const nginx = await startDocumentedNginx(service.port)
  t.teardown(() => nginx.stop())
  const url = new URL(`${nginx.origin}/api/cio/webhook`)
  const { results } = await examine({ url, key: SECRET, now: Date.now })

  t.same(byStatus(results, 'wrong'), [])
  t.same(ids(results, 'unjudged'), NO_TLS)
  t.same(ids(results, 'note'), ['body-scheme'])
})

t.test('from an address that is not allowed all that can be told is well, forged headers too', async t => {
  const service = await startTestService({
    REDIS_URL: redis.url,
    NODE_ENV: 'production',
    CIO_KEY_PREFIX: 'forbidden:'
  })
  t.teardown(() => service.close())
  const url = new URL(`${service.url}/api/cio/webhook`)
  const { results } = await examine({ url, key: SECRET, now: Date.now }, QUICK)

  t.same(byStatus(results, 'wrong'), [])
  t.same(
    ids(results, 'well').filter(id => id.startsWith('forged')),
    ['forged-forwarded-for', 'forged-forwarded-twice', 'forged-forwarded-ipv6', 'forged-other-headers']
  )
  t.ok(ids(results, 'unjudged').includes('authentic'))
  t.equal(await redis.client.exists('forbidden:events:{0}'), 0)
})

t.test('where the doctor is itself a trusted proxy that is noted, not called wrong', async t => {
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_KEY_PREFIX: 'proxy:',
    TRUSTED_PROXIES: '127.0.0.1'
  })
  t.teardown(() => service.close())
  const url = new URL(`${service.url}/api/cio/webhook`)
  const { results } = await examine({ url, key: SECRET, now: Date.now }, QUICK)
  t.same(byStatus(results, 'wrong'), [])
  t.ok(ids(results, 'note').includes('forged-forwarded-for'))
})

t.test(
  'a service whose Redis is away is told to be unavailable, and nothing else is held against it',
  async t => {
    const away = await startRedis()
    const service = await startTestService({ REDIS_URL: away.url })
    t.teardown(() => service.close())
    await away.stop()
    const url = new URL(`${service.url}/api/cio/webhook`)
    const { results } = await examine({ url, key: SECRET, now: Date.now }, QUICK)
    t.same(ids(results, 'wrong'), ['authentic'])
    t.match(byStatus(results, 'wrong')[0], /can't keep events: 503/)
  }
)
