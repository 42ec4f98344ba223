import { request } from 'node:http'
import { startTestService, type TestService } from './service.ts'

export const PASSWORD = 'operators: correct horse'
export const VIEWER_PASSWORD = 'viewers: battery staple'

export interface ConsoleAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** A browser without JavaScript: keeps cookies, and reads the token from the latest page. */
export interface ConsoleClient {
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<ConsoleAnswer>
  /** Sends a form with the token of the latest page; `csrf` in `fields` replaces it. */
  post(
    path: string,
    fields?: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>
  ): Promise<ConsoleAnswer>
  logIn(password: string): Promise<ConsoleAnswer>
}

export interface TestConsole {
  readonly service: TestService
  readonly url: string
  client(): ConsoleClient
}

/** The service with its console on a free port. @param env added to the environment; without it, two passwords */
export async function startTestConsole(
  redisUrl: string,
  env: Readonly<Record<string, string>> = {
    CONSOLE_PASSWORD: PASSWORD,
    CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD
  }
): Promise<TestConsole> {
  const service = await startTestService({ REDIS_URL: redisUrl, CONSOLE_PORT: '0', ...env })
  const url = `http://127.0.0.1:${service.consolePort}`
  return { service, url, client: () => consoleClient(url) }
}

/** @param url of a console, without a path */
export function consoleClient(url: string): ConsoleClient {
  const cookies = new Map<string, string>()
  let csrf = ''
  const client: ConsoleClient = {
    get: (path, headers) => send('GET', path, undefined, headers),
    post: (path, fields, headers) =>
      send('POST', path, new URLSearchParams({ csrf, ...fields }).toString(), headers),
    logIn: async password => {
      await client.get('/log-in')
      return client.post('/log-in', { password })
    }
  }
  return client

  /** Not `fetch`, which refuses to send a `host` header of the test's choice. */
  function send(
    method: string,
    path: string,
    body: string | undefined,
    headers: Readonly<Record<string, string>> = {}
  ): Promise<ConsoleAnswer> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const type = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }
    return new Promise((resolve, reject) => {
      const sent = request(
        `${url}${path}`,
        { method, headers: { cookie, ...type, ...headers } },
        response => {
          const chunks: Buffer[] = []
          response.on('data', chunk => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            for (const line of response.headers['set-cookie'] ?? []) keepCookie(line)
            const text = Buffer.concat(chunks).toString()
            csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? csrf
            const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
            resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), text })
          })
        }
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }

  function keepCookie(line: string): void {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (/max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(name)
    else cookies.set(name, value)
  }
}
