// The API of the console answers as docs/openapi.yaml says: every route, parameter and example.
import { subscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { buildConsole } from '../../src/console/server.ts'
import { createLogger } from '../../src/ops/logger.ts'
import {
  API_TOKEN,
  type ApiAnswer,
  addDeadLetter,
  callApi,
  payload,
  startTestApi,
  type TestApi
} from '../helpers/console-api.ts'
import { connectedRedis, startRedis, type TestRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { testConfig } from '../helpers/service.ts'

type Json = Readonly<Record<string, unknown>>

const document = parse(readFileSync('docs/openapi.yaml', 'utf8')) as Json

/** The value at a path in the document; references are followed. */
function at(value: unknown, ...path: readonly string[]): unknown {
  const found = path.reduce((inner, key) => Reflect.get(Object(resolved(inner)), key), value)
  return resolved(found)
}

function resolved(value: unknown): unknown {
  const reference = Reflect.get(Object(value), '$ref')
  return typeof reference === 'string' ? at(document, ...reference.slice(2).split('/')) : value
}

const entriesOf = (value: unknown): readonly [string, unknown][] => Object.entries(Object(value))

const ajv = new Ajv2020({ strict: false, allErrors: true })
formats.default(ajv)
ajv.addSchema(document, 'openapi')

function fits(t: Test, pointer: string, value: unknown, what: string): void {
  const validate = ajv.compile({ $ref: `openapi#${pointer}` })
  t.ok(validate(value), `${what} fits ${pointer}: ${ajv.errorsText(validate.errors)}`)
}

interface Operation {
  readonly route: string
  readonly method: string
  readonly path: string
  readonly described: unknown
}

const operations: readonly Operation[] = entriesOf(document['paths'])
  .filter(([path]) => path.startsWith('/api/v1/'))
  .flatMap(([path, methods]) =>
    entriesOf(methods)
      .filter(([method]) => ['get', 'post', 'put', 'delete'].includes(method))
      .map(([method, described]) => ({
        route: `${method.toUpperCase()} ${path.slice('/api/v1'.length)}`,
        ...{ method, path, described }
      }))
  )

/** The routes of every Fastify in this process. */
const registered = new Set<string>()
subscribe('fastify.initialization', message => {
  const { fastify } = message as { fastify: FastifyInstance }
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) registered.add(`${one} ${url}`)
  })
})

/** Names and ids as the examples have them, and as they are in this run. */
const actual = new Map<string, string>()
const examples = {
  position: '0-1795749177680-0',
  letter: '1795749178008-0',
  parked: '0-1795749177729-0'
} as const

function asInThisRun(value: unknown): unknown {
  let text = JSON.stringify(value)
  for (const [example, real] of actual) text = text.replaceAll(example, real)
  return JSON.parse(text)
}

const schemaPointer = ({ path, method }: Operation, ...rest: readonly string[]): string =>
  ['', 'paths', path, method, ...rest, 'schema']
    .map(key => key.replaceAll('~', '~0').replaceAll('/', '~1'))
    .join('/')

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly example: unknown
}

const parametersOf = ({ described }: Operation): readonly Parameter[] =>
  entriesOf(at(described, 'parameters')).map(([, parameter]) => resolved(parameter) as Parameter)

/** The request with the examples of its parameters. */
function requestOf(operation: Operation): string {
  const parameters = parametersOf(operation)
  const query = new URLSearchParams()
  let route = operation.route
  for (const { name, in: where, example } of parameters) {
    const values = [asInThisRun(example)].flat().map(String)
    if (where === 'path') route = route.replace(`{${name}}`, encodeURIComponent(values[0] ?? ''))
    else for (const value of values) query.append(name, value)
  }
  return query.size === 0 ? route : `${route}?${query}`
}

/** Fails unless the document has this status for the operation, and the body fits. */
function expectDescribed(t: Test, operation: Operation, { status, body, headers }: ApiAnswer): void {
  const what = `${operation.route}: ${status}`
  const response = at(operation.described, 'responses', String(status))
  if (!t.ok(response, `${what} is described`)) return
  const type = headers.get('content-type')?.split(';')[0] ?? ''
  t.ok(at(response, 'content', type), `${what} is ${type}`)
  if (status !== 200) fits(t, '/components/schemas/ApiError', body, what)
  else if (type === 'application/json') {
    fits(t, schemaPointer(operation, 'responses', '200', 'content', type), body, what)
  }
}

async function open(
  t: Test,
  env?: Readonly<Record<string, string>>
): Promise<TestApi & { readonly redis: TestRedis }> {
  const redis = await startRedis()
  const api = await startTestApi(redis.url, env)
  t.teardown(async () => {
    await api.close()
    await redis.stop()
  })
  return { ...api, redis }
}

t.test('the routes of the API are those of the document, each with its schema', async t => {
  await open(t)
  const routes = [...registered]
    .filter(route => route.includes(' /api/v1/') && !route.startsWith('HEAD '))
    .map(route => route.replaceAll(/:(\w+)/g, '{$1}'))
  t.ok(routes.length > 20)
  t.same(routes.sort(), operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort())
  for (const { route, described } of operations) {
    t.same(at(described, 'security'), [{ bearer: [] }], route)
    t.same(at(described, 'tags'), ['console'], route)
  }
})

t.test('every operation answers as described, with the examples of its parameters and bodies', async t => {
  const api = await open(t)
  const { service, call } = api
  await service.post(payload())
  await service.post('{')
  await until('it is delivered', async () => {
    const { body } = await call('GET /consumers/crm/attempts')
    return entriesOf(at(body, 'attempts')).length === 1
  })
  const path = (await call('GET /events/01J8ZK6T9QW3E5R7Y1U2I3O4P5')).body
  actual.set(examples.position, String(at(path, '0', 'position')))
  const unmatched = new Set<string>()

  for (const operation of operations) {
    const { route, described } = operation
    const bodies = entriesOf(at(described, 'requestBody', 'content', 'application/json', 'examples'))
    const answers: unknown[] = []
    for (const [name, example] of bodies.length > 0 ? bodies : [['', undefined] as const]) {
      await arrange(route)
      const value = example === undefined ? undefined : asInThisRun(at(example, 'value'))
      if (value !== undefined) {
        fits(
          t,
          schemaPointer(operation, 'requestBody', 'content', 'application/json'),
          value,
          `${route} ${name}`
        )
      }
      const answer = await call(requestOf(operation), value)
      t.equal(
        answer.status,
        route === 'POST /parked/{delivery}/replay' ? 409 : 200,
        `${route} ${name} ${answer.text}`
      )
      expectDescribed(t, operation, answer)
      answers.push(answer.body)
    }
    const content = at(described, 'responses', '200', 'content', 'application/json', 'examples')
    for (const [name, example] of entriesOf(content)) {
      const wanted = asInThisRun(at(example, 'value'))
      fits(
        t,
        schemaPointer(operation, 'responses', '200', 'content', 'application/json'),
        wanted,
        `${route} ${name}`
      )
      if (!answers.some(answer => JSON.stringify(answer) === JSON.stringify(wanted)))
        unmatched.add(`${route} ${name}`)
    }
    const refused = await call(`${requestOf(operation).split('?')[0]}?undocumented=1`)
    t.equal(refused.status, 400, `${route} refuses a parameter that is not described`)
    expectDescribed(t, operation, refused)
  }
  t.same([...unmatched], [], 'each example was an answer')

  /** What an operation needs, and takes away. */
  async function arrange(route: string): Promise<void> {
    if (/replay|drop|dead-letters/.test(route) && route.includes('consumers')) {
      await call('POST /consumers/crm/drop', { all: true })
      await addDeadLetter(api, `dead-${actual.size}-${Math.random()}`)
      const { body } = await call('GET /consumers/crm/dead-letters')
      actual.set(examples.letter, String(at(body, 'deadLetters', '0', 'id')))
    }
    if (route.includes('parked')) {
      await service.post('{')
      const { body } = await call('GET /parked')
      actual.set(examples.parked, String(at(body, 'parked', '0', 'delivery')))
    }
    if (route.includes('redeliver')) await until('it is acknowledged', isAcknowledged)
  }

  async function isAcknowledged(): Promise<boolean> {
    const { body } = await call('GET /events/01J8ZK6T9QW3E5R7Y1U2I3O4P5')
    return at(body, '0', 'consumers', '0', 'state') === 'acknowledged'
  }
})

t.test('each described error is really answered so', async t => {
  const { service, call, redis } = await open(t)
  await service.post('{')
  await until('it is parked', async () => at((await call('GET /parked')).body, 'total') === 1)
  actual.set(examples.parked, String(at((await call('GET /parked')).body, 'parked', '0', 'delivery')))
  const noToken = { authorization: '' }

  const cases: readonly [response: string, example: string, ask: () => Promise<ApiAnswer>][] = [
    ['ApiBadRequest', 'unknownParameter', () => call('GET /events?page=2')],
    ['ApiBadRequest', 'malformed', () => call('POST /consumers/crm/pause', '{')],
    ['ApiUnauthorized', 'token', () => call('GET /status', undefined, noToken)],
    [
      'ApiForbidden',
      'otherSite',
      () => call('POST /consumers/crm/pause', undefined, { origin: 'https://evil.example' })
    ],
    ['ApiUnknownEvent', 'event', () => call('GET /events/nothing')],
    ['ApiUnknownConsumer', 'consumer', () => call('GET /consumers/nobody')],
    ['ApiUnknownConsumer', 'letter', () => call('POST /consumers/crm/drop', { ids: ['1-1'] })],
    ['ApiUnknownDelivery', 'delivery', () => call('POST /parked/0-1-1/drop')],
    ['ApiStillParked', 'still', () => call(`POST /parked/${actual.get(examples.parked)}/replay`)],
    ['ApiInternalError', 'bug', brokenClock],
    ['ApiConflict', 'kind', pausePlainGroup],
    ['ApiRateLimited', 'tokens', wrongTokens],
    ['ApiUnavailable', 'redis', withoutRedis]
  ]
  for (const [response, example, ask] of cases) {
    const described = at(document, 'components', 'responses', response, 'content', 'application/json')
    const { body, text } = await ask()
    t.same(body, asInThisRun(at(described, 'examples', example, 'value')), `${response} ${example}: ${text}`)
    fits(t, '/components/schemas/ApiError', body, response)
  }
  const all = entriesOf(at(document, 'components', 'responses'))
    .filter(([name]) => name.startsWith('Api'))
    .flatMap(([name, described]) =>
      entriesOf(at(described, 'content', 'application/json', 'examples')).map(
        ([example]) => `${name} ${example}`
      )
    )
  t.same(all.sort(), cases.map(([name, example]) => `${name} ${example}`).sort(), 'each example is a case')

  async function pausePlainGroup(): Promise<ApiAnswer> {
    const { client } = redis
    await service.post(payload())
    await client.xgroup('CREATE', 'cio:events:{0}', 'plain', '0', 'MKSTREAM')
    await client.xreadgroup('GROUP', 'plain', 'reader', 'COUNT', 1, 'STREAMS', 'cio:events:{0}', '>')
    return call('POST /consumers/plain/pause')
  }

  async function wrongTokens(): Promise<ApiAnswer> {
    for (let tries = 0; tries < 10; tries++) {
      t.equal((await call('GET /status', undefined, { authorization: 'Bearer wrong' })).status, 401)
    }
    const answer = await call('GET /status')
    t.match(answer.headers.get('retry-after'), /^\d+$/)
    return answer
  }

  /** A second service: the first one has had too many wrong tokens. BullMQ leaves a timer after an outage. */
  async function withoutRedis(): Promise<ApiAnswer> {
    const second = await open(t, { DISPATCH: 'off' })
    await second.redis.stop()
    await until('the outage is noticed', async () => !(await fetch(`${second.service.url}/readyz`)).ok)
    const status = await second.call('GET /status')
    t.equal(status.status, 200)
    fits(t, '/components/schemas/Status', status.body, 'the status without Redis')
    t.equal(at(status.body, 'redis', 'state'), 'down')
    return second.call('GET /consumers')
  }

  /** A bug: a dependency that throws something unexpected. */
  async function brokenClock(): Promise<ApiAnswer> {
    const config = await testConfig({
      REDIS_URL: redis.url,
      CONSOLE_PORT: '0',
      CONSOLE_PASSWORD: 'operators: correct horse',
      CONSOLE_API_TOKEN: API_TOKEN
    })
    if (config.console === undefined) throw new Error('the console is off')
    const { connection } = await connectedRedis(t)
    const lines: string[] = []
    const { log } = createLogger('info', { write: line => void lines.push(line) })
    const app = await buildConsole({
      settings: config.console,
      config,
      redis: connection,
      redisAddress: redis.address,
      redisReport: { problem: () => undefined },
      isRedisUp: () => true,
      log,
      now: () => {
        throw new Error('a text that must not be sent')
      }
    })
    t.teardown(() => app.close())
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const answer = await callApi(url)('GET /deliveries')
    t.match(lines.join(''), /a request to the API failed/)
    return answer
  }
})
