import { PASSWORD, startTestConsole, type TestConsole } from './console.ts'
import { consumersFile, httpConsumer } from './consumers-file.ts'
import { answers, startReceiver, type TestReceiver } from './receiver.ts'
import { until } from './server.ts'

export const API_TOKEN = 'token-correct-horse-battery'

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** `undefined` unless it is JSON. */
  readonly body: unknown
}

/** Sends a request with the token. @param body sent as JSON; a string as it is */
export type CallApi = (
  route: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>
) => Promise<ApiAnswer>

export interface TestApi extends TestConsole {
  /** Of the consumer crm, which has one attempt for each event. */
  readonly receiver: TestReceiver
  /** @param route such as `GET /status` */
  readonly call: CallApi
  close(): Promise<void>
}

/** The service with its console, its API, and the push consumer crm. */
export async function startTestApi(
  redisUrl: string,
  env: Readonly<Record<string, string>> = {}
): Promise<TestApi> {
  const receiver = await startReceiver()
  const started = await startTestConsole(redisUrl, {
    CONSOLE_PASSWORD: PASSWORD,
    CONSOLE_API_TOKEN: API_TOKEN,
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url, { maxAttempts: 1, types: ['email.*'] })),
    ...env
  })
  return {
    ...started,
    receiver,
    call: callApi(started.url),
    close: async () => {
      await started.service.close()
      await receiver.stop()
    }
  }
}

export const callApi =
  (url: string): CallApi =>
  async (route, body, headers = {}) => {
    const [method = '', path = ''] = route.split(' ')
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${API_TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) })
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined
    }
  }

/** An opened mail of customer 4711, by default. */
export const payload = (changes: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    event_id: '01J8ZK6T9QW3E5R7Y1U2I3O4P5',
    object_type: 'email',
    metric: 'opened',
    timestamp: 1_795_510_800,
    data: { customer_id: '4711', recipient: 'ada@example.com', delivery_id: 'RPILAgUBcRhIBqSfeiIwdIYJKxTY' },
    ...changes
  })

/** Delivers an event that the consumer does not take: it becomes a dead letter. */
export async function addDeadLetter({ service, receiver, call }: TestApi, id: string): Promise<void> {
  const before = await countDead(call)
  receiver.behave(answers(422))
  await service.post(payload({ event_id: id }))
  await until('the dead letter', async () => (await countDead(call)) > before)
  receiver.behave(answers(204))
}

async function countDead(call: CallApi): Promise<number> {
  const { body } = await call('GET /consumers/crm/dead-letters?count=100')
  return Reflect.get(Object(body), 'deadLetters')?.length ?? 0
}
