import t, { type Test } from 'tap'
import { AppApiError, openAppApi } from '../../src/customerio/app-api.ts'
import { Secret } from '../../src/secret.ts'
import { appApiOf, startCustomerIo } from '../helpers/customer-io.ts'

const KEY = 'app-key'

async function startWithKey(t: Test) {
  const cio = await startCustomerIo(t)
  cio.appKeys.add(KEY)
  return cio
}

const list = 'GET /v1/reporting_webhooks'

/** @returns the error that a request ends with */
async function failureOf(request: Promise<unknown>): Promise<AppApiError> {
  const error = await request.then(
    () => undefined,
    error => error
  )
  if (error instanceof AppApiError) return error
  throw new Error('an AppApiError was expected', { cause: error })
}

t.test('a refused key names the variable, the region as a cause, and never the key', async t => {
  const cio = await startWithKey(t)
  for (const status of [401, 403]) {
    cio.next.push({ status, body: `{"meta":{"error":"${KEY} is wrong"}}` })
    const { kind, message } = await failureOf(appApiOf(cio).call(client => client.listReportingWebhooks()))
    t.equal(kind, 'refused')
    t.match(message, `refused CIO_APP_API_KEY (status ${status})`)
    t.match(message, 'CIO_REGION is us; is it eu?')
    t.notMatch(message, KEY)
  }
  t.same(cio.requests, [`${list} 401`, `${list} 403`], 'a refusal is not repeated')
})

t.test('a request is repeated when retry-after has passed', async t => {
  const cio = await startWithKey(t)
  cio.next.push({ status: 429, body: '{}', headers: { 'retry-after': '2' } })
  await appApiOf(cio).call(client => client.listReportingWebhooks(), { attempts: 1 })
  t.same(cio.requests, [`${list} 429`, `${list} 200`], 'also a request that may be sent once: it did nothing')
  const [first = 0, second = 0] = cio.requestTimesMs
  t.ok(second - first >= 1990, `${second - first} ms`)
})

t.test('a wait of more than a minute is left to the caller', async t => {
  const cio = await startWithKey(t)
  cio.next.push({ status: 429, body: '{}', headers: { 'retry-after': '3600' } })
  const error = await failureOf(appApiOf(cio).call(client => client.listReportingWebhooks()))
  t.match(error, { kind: 'rate_limited', retryAfterMs: 3_600_000 })
})

t.test('a failure with an unknown outcome is repeated only as often as permitted', async t => {
  const cio = await startWithKey(t)
  cio.next.push({ status: 502, body: '<html>Bad gateway</html>' })
  await appApiOf(cio).call(client => client.listReportingWebhooks(), { attempts: 2 })
  t.same(cio.requests, [`${list} 502`, `${list} 200`])
  for (const [answer, kind] of [
    [{ status: 503, body: '{}' }, 'unavailable'],
    [{ status: 200, body: '<html>' }, 'malformed'],
    [{ status: 422, body: `{"errors":[{"detail":"bad ${KEY}"}]}` }, 'declined'],
    [{ status: 404, body: '{}' }, 'not_found']
  ] as const) {
    cio.next.push(answer)
    const error = await failureOf(
      appApiOf(cio).call(client => client.listReportingWebhooks(), { attempts: 1 })
    )
    t.equal(error.kind, kind)
    t.notMatch(error.message, KEY)
    t.match(error.message, /: .+/)
  }
})

t.test('the API says why it declined a request', async t => {
  const cio = await startWithKey(t)
  cio.next.push({ status: 422, body: '{"errors":[{"detail":"endpoint is taken"}]}' })
  const { message } = await failureOf(appApiOf(cio).call(client => client.listReportingWebhooks()))
  t.match(message, 'status 422: {"errors":[{"detail":"endpoint is taken"}]}')
})

t.test('without a connection, the message has the host and the code', async t => {
  const cio = await startWithKey(t)
  cio.close()
  const api = appApiOf(cio)
  const error = await failureOf(api.call(client => client.listReportingWebhooks(), { attempts: 1 }))
  t.equal(error.kind, 'unavailable')
  t.match(error.message, `(${new URL(cio.appUrl).host}): ECONNREFUSED`)
})

t.test('requests of several callers begin half a second apart', async t => {
  const cio = await startWithKey(t)
  const api = openAppApi({
    account: { region: 'us', appUrl: cio.appUrl },
    readKey: async () => new Secret(KEY)
  })
  await Promise.all([1, 2, 3].map(() => api.call(client => client.listReportingWebhooks())))
  const [first = 0, , last = 0] = cio.requestTimesMs
  t.ok(last - first >= 950, `${last - first} ms`)
})

t.test('an aborted call ends at once and is not repeated', async t => {
  const cio = await startWithKey(t)
  cio.answer = { status: 200, body: '{}', delayMs: 9000 }
  const abort = new AbortController()
  const call = appApiOf(cio).call(client => client.listReportingWebhooks(), { signal: abort.signal })
  setTimeout(() => abort.abort(), 50)
  const startedMs = performance.now()
  await t.rejects(call)
  t.ok(performance.now() - startedMs < 7000)
})

t.test('the host is that of the region, or of CIO_APP_URL', async t => {
  const hostOf = (region: 'us' | 'eu', appUrl?: string) =>
    openAppApi({ account: { region, appUrl }, readKey: async () => new Secret(KEY) }).host
  t.same(
    [hostOf('us'), hostOf('eu'), hostOf('us', 'http://proxy.internal:8080/v1')],
    ['api.customer.io', 'api-eu.customer.io', 'proxy.internal:8080']
  )
})
