import t, { type Test } from 'tap'
import { type RunningProxy, startHaproxy, startNginx } from '../helpers/proxy.ts'
import { postText, sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { type Headers, signV0 } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const service = await startTestService({
  REDIS_URL: redis.url,
  CIO_ALLOWED_IPS: '127.0.0.2',
  TRUSTED_PROXIES: '127.0.0.1'
})
t.teardown(() => service.close())

let ids = 0
async function behind(t: Test, proxy: RunningProxy): Promise<void> {
  const through = async (localAddress: string, headers: Headers = {}) => {
    const body = JSON.stringify({ event_id: `id-${++ids}` })
    const text = postText(body, { ...signV0(body), connection: 'close', ...headers })
    return (await sendRaw(proxy.port, text, { localAddress, silenceMs: 15_000 })).status
  }
  t.equal(await through('127.0.0.2'), 200, 'an allowed address')
  t.equal(await through('127.0.0.3'), 403, 'another one')
  t.equal(
    await through('127.0.0.3', { 'x-forwarded-for': '127.0.0.2' }),
    403,
    'another one that claims to be allowed'
  )
  t.equal(
    await through('127.0.0.3', { 'x-forwarded-for': '127.0.0.2, 127.0.0.1' }),
    403,
    'and to come by the proxy'
  )
  t.equal(
    await through('127.0.0.3', { forwarded: 'for=127.0.0.2', 'x-real-ip': '127.0.0.2' }),
    403,
    'in other headers'
  )
  const metrics = `GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`
  t.equal(
    (await sendRaw(proxy.port, metrics, { localAddress: '127.0.0.3' })).status,
    200,
    'loopback may read metrics'
  )
  const body = `{"event_id":"large-${++ids}","pad":"${'x'.repeat(4 * 1024 * 1024)}"}`
  const large = postText(body, { ...signV0(body), connection: 'close' })
  t.equal(
    (await sendRaw(proxy.port, large, { localAddress: '127.0.0.2', silenceMs: 15_000 })).status,
    200,
    'a large body'
  )
}

t.test('behind nginx the address that counts is the one nginx saw', async t => {
  const nginx = await startNginx(service.port)
  t.teardown(() => nginx.stop())
  await behind(t, nginx)
})

t.test('behind haproxy the address that counts is the one haproxy saw', async t => {
  const haproxy = await startHaproxy([service.port])
  t.teardown(() => haproxy.stop())
  await behind(t, haproxy)
})
