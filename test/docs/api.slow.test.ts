// The service behaves as the two documents say. Their validity is checked by `npm run lint:api`.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { type Answer, postTo, startTestService } from '../helpers/service.ts'
import { signBody, signV0 } from '../helpers/sign.ts'

type Json = Readonly<Record<string, unknown>>

const root = fileURLToPath(new URL('../../..', import.meta.url))
const openapi = parse(readFileSync(`${root}/docs/openapi.yaml`, 'utf8')) as Json
const asyncapi = parse(readFileSync(`${root}/docs/asyncapi.yaml`, 'utf8')) as Json

/** The value at a JSON pointer. */
const at = (document: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Json)[key], document)

const ajv = new Ajv2020({ strict: false, allErrors: true })
formats.default(ajv)
ajv.addSchema(openapi, 'openapi')
ajv.addSchema(asyncapi, 'asyncapi')

function fits(t: Test, pointer: string, value: unknown, what: string): void {
  const validate = ajv.compile({ $ref: pointer })
  t.ok(validate(value), `${what} fits ${pointer}: ${ajv.errorsText(validate.errors)}`)
}

t.test('the receiver answers as the OpenAPI document says, in each of its examples', async t => {
  const redis = await startRedis()
  const service = await startTestService({
    REDIS_URL: redis.url,
    RATE_LIMIT_MAX: '2',
    TRUSTED_PROXIES: '127.0.0.1'
  })
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const example = at(
    openapi,
    'components',
    'requestBodies',
    'delivery',
    'content',
    'application/json',
    'examples',
    'opened',
    'value'
  )
  const delivery = JSON.stringify(example)
  const response = (name: string): unknown => at(openapi, 'components', 'responses', name)
  const said = (name: string, which: string): unknown =>
    at(response(name), 'content', 'application/json', 'examples', which, 'value')
  const outside = { 'x-forwarded-for': '203.0.113.7' }
  const missing = at(openapi, 'paths', '/api/cio/webhook/{source}', 'post', 'responses', '404')

  const cases: readonly [string, () => Promise<Answer>, number, unknown][] = [
    ['accepted', () => service.post(delivery), 200, said('Kept', 'accepted')],
    ['duplicate', () => service.post(delivery), 200, said('Kept', 'duplicate')],
    [
      'signature',
      () => service.post(delivery, { 'x-cio-signature': 'no' }),
      401,
      said('SignatureInvalid', 'signature')
    ],
    [
      'source',
      () => service.post(delivery, { ...signV0(delivery), ...outside }),
      403,
      said('SourceForbidden', 'forbidden')
    ],
    [
      'headers',
      async () => {
        const headers = new Headers({ 'x-large': 'x'.repeat(15_000), 'x-larger': 'x'.repeat(15_000) })
        const response = await fetch(`${service.url}/api/cio/webhook/`, { method: 'POST', headers })
        return {
          status: response.status,
          headers: response.headers,
          body: (await response.json()) as Answer['body']
        }
      },
      431,
      said('HeadersTooLarge', 'headers')
    ],
    ['large', () => service.post('x'.repeat(6 * 1024 * 1024)), 413, said('TooLarge', 'large')],
    [
      'unknown source',
      () => service.post(delivery, signBody(delivery), '/api/cio/webhook/none'),
      404,
      at(missing, 'content', 'application/json', 'examples', 'unknown', 'value')
    ]
  ]
  for (const [name, ask, status, body] of cases) {
    const answer = await ask()
    t.same({ status: answer.status, body: answer.body }, { status, body }, name)
    const schema = status === 200 ? 'Accepted' : 'Refusal'
    fits(t, `openapi#/components/schemas/${schema}`, answer.body, name)
  }
  const parked = await service.post('{')
  t.equal(parked.status, 200)
  t.equal(parked.body['status'], 'parked')
  fits(t, 'openapi#/components/schemas/Accepted', parked.body, 'parked')

  let limited: Answer | undefined
  for (let attempt = 0; attempt < 4; attempt++) {
    limited = await service.post(delivery, { 'x-cio-signature': 'no', ...outside })
  }
  t.same([limited?.status, limited?.body], [429, said('RateLimited', 'limited')])
  t.match(limited?.headers.get('retry-after'), /^\d+$/)

  for (const [path, schema] of [
    ['healthz', 'Health'],
    ['readyz', 'Readiness']
  ] as const) {
    const answer = await fetch(`${service.url}/${path}`)
    t.equal(answer.status, 200)
    fits(t, `openapi#/components/schemas/${schema}`, await answer.json(), path)
  }
  const metrics = await fetch(`${service.url}/metrics`)
  t.equal(metrics.status, 200)
  t.match(metrics.headers.get('content-type'), /^text\/plain/)

  await redis.stop()
  const unavailable = await until('a 503', async () => {
    const answer = await postTo(`${service.url}/api/cio/webhook`, delivery)
    return answer.status === 503 && answer
  })
  t.same(unavailable.body, said('Unavailable', 'unavailable'))
  t.match(unavailable.headers.get('retry-after'), /^\d+$/)
  const notReady = await fetch(`${service.url}/readyz`)
  t.equal(notReady.status, 503)
  fits(t, 'openapi#/components/schemas/Readiness', await notReady.json(), 'readyz without Redis')
})

t.test('what is in the log and what is pushed are as the AsyncAPI document says', async t => {
  const [redis, receiver] = [await startRedis(), await startReceiver()]
  const service = await startTestService({
    REDIS_URL: redis.url,
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  })
  t.teardown(async () => {
    await service.close()
    await receiver.stop()
    await redis.stop()
  })
  const payloads = [
    at(
      openapi,
      'components',
      'requestBodies',
      'delivery',
      'content',
      'application/json',
      'examples',
      'opened',
      'value'
    ),
    { nothing: 'that we know' },
    { event_id: 'no-time', object_type: 'sms', metric: 'sent', data: {} }
  ]
  for (const payload of payloads) t.equal((await service.post(JSON.stringify(payload))).status, 200)

  for (const [, [type, typeValue, event, eventValue]] of await redis.client.xrange(
    'cio:events:{0}',
    '-',
    '+'
  )) {
    t.same([type, event], ['type', 'event'])
    fits(t, 'asyncapi#/components/messages/entry/payload', { type: typeValue, event: eventValue }, 'an entry')
    fits(t, 'asyncapi#/components/schemas/CloudEvent', JSON.parse(eventValue ?? ''), 'its event')
  }
  await until('all pushed', async () => receiver.requests.length === payloads.length)
  for (const { headers, body } of receiver.requests) {
    fits(t, 'asyncapi#/components/schemas/PushHeaders', headers, 'the headers of a push')
    fits(t, 'asyncapi#/components/schemas/CloudEvent', JSON.parse(body), 'the body of a push')
    fits(t, 'openapi#/components/schemas/CloudEvent', JSON.parse(body), 'the body of a push')
  }

  const messages = at(asyncapi, 'components', 'messages') as Json
  for (const name of ['request', 'nats', 'amqp']) {
    const [example] = at(messages, name, 'examples') as Json[]
    fits(t, 'asyncapi#/components/schemas/CloudEvent', example?.['payload'], `the example of ${name}`)
  }
})
