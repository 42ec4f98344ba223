import { createLogger } from '../../src/ops/logger.ts'
import type { Tracing } from '../../src/ops/spans.ts'
import { type Service, startService } from '../../src/service.ts'
import { type Config, loadSettings, serviceNeeds } from '../../src/settings/config.ts'
import { until } from './server.ts'
import { type Headers, KEY, signV0, WEBHOOK_PATH } from './sign.ts'

export interface TestService extends Service {
  readonly url: string
  /** The log lines so far, parsed. */
  logLines(): Record<string, unknown>[]
  /** The log lines so far, as text. */
  logText(): string
  /** Posts to the default source, signed unless headers are given. */
  post(body: string | Buffer, headers?: Headers, path?: string): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly headers: globalThis.Headers
  readonly body: Record<string, unknown>
}

/**
 * Starts the service as `serve` does, but in this process, on a free port.
 *
 * @param env its environment
 * @param ready wait until the service is ready; false if its Redis is not reachable
 * @param tracing records its traces
 */
export async function startTestService(
  env: Record<string, string>,
  { ready = true, tracing }: { readonly ready?: boolean; readonly tracing?: Tracing } = {}
): Promise<TestService> {
  const config = await testConfig(env)
  if (config.redis.kind === 'private') throw new Error('the test must set a Redis address')
  const written: string[] = []
  const { log } = createLogger(config.logLevel, { write: line => void written.push(line) })
  const service = await startService({
    config,
    log,
    redisAddress: config.redis,
    runsMaintenance: true,
    tracing
  })
  const url = `http://127.0.0.1:${service.port}`
  if (ready) await until('readiness', async () => (await fetch(`${url}/readyz`)).ok)
  return {
    ...service,
    url,
    logText: () => written.join(''),
    logLines: () => written.map(line => JSON.parse(line)),
    post: (body, headers, path = WEBHOOK_PATH) => postTo(url + path, body, headers)
  }
}

export async function postTo(
  url: string,
  body: string | Buffer,
  headers: Headers = signV0(body)
): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
    redirect: 'error'
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Answer['body']
  }
}

/** Delivers as Customer.io does: retries after a 503. @returns the first other response, after `refused` of them */
export async function deliverTo(
  url: string,
  body: string | Buffer,
  headers?: Headers
): Promise<Answer & { readonly refused: number }> {
  let refused = 0
  return until('a response other than 503', async () => {
    const answer = await postTo(url, body, headers)
    if (answer.status === 503) refused++
    return answer.status !== 503 && { ...answer, refused }
  })
}

/** A development configuration with the key of the tests, on a free port, changed by `env`. */
export function testConfig(env: Record<string, string> = {}): Promise<Config> {
  return loadSettings(
    {
      NODE_ENV: 'test',
      PORT: '0',
      HOST: '127.0.0.1',
      ...('CIO_WEBHOOK_SECRET_FILE' in env ? {} : { CIO_WEBHOOK_SECRET: KEY }),
      LOG_LEVEL: 'info',
      ...env
    },
    serviceNeeds
  )
}
