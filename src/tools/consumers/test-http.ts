// Tested by test/cli/consumers/test.slow.test.ts.
import { Agent, type Dispatcher, request } from 'undici'
import { failureCode } from '../../dispatch/failure.ts'
import { requestSigner } from '../../dispatch/http/signature.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import type { HttpSettings } from '../../settings/http-consumer.ts'
import { shownUrl } from './shown-settings.ts'
import { connectionFix, statusFix } from './test-fix.ts'

type Header = readonly [name: string, value: string]

export interface HttpExchange {
  readonly kind: 'http'
  readonly accepted: boolean
  readonly request: {
    readonly method: 'POST'
    /** Its query, which can contain a token, is not shown. */
    readonly url: string
    readonly headers: readonly Header[]
    readonly body: string
  }
  /** `undefined` if there was none. Its text is from the target: make it safe before it is shown. */
  readonly response?: {
    readonly status: number
    readonly headers: readonly Header[]
    /** Its first 2,000 characters. */
    readonly body: string
    readonly truncated: boolean
  }
  /** The code of the connection's failure. */
  readonly failure?: string
  /** The likely remedy. */
  readonly fix?: string
  readonly durationMs: number
}

const MAX_BODY_BYTES = 8000
const MAX_BODY_CHARACTERS = 2000

/** Sends one signed request, as the dispatcher does. Never rejects. */
export async function testHttp(
  { url, secrets, timeoutMs }: HttpSettings,
  { id, event }: OutgoingEvent,
  now: () => number
): Promise<HttpExchange> {
  const body = Buffer.from(event)
  const raw = requestSigner(secrets)(id, body, now())
  const headers = raw.flatMap((name, index) =>
    index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as const] : []
  )
  const sent = {
    kind: 'http',
    request: { method: 'POST', url: shownUrl(url), headers, body: event }
  } as const
  const timeout = AbortSignal.timeout(timeoutMs)
  const agent = new Agent({ connect: { timeout: timeoutMs }, maxHeaderSize: 16 * 1024 })
  const startedMs = performance.now()
  const durationMs = (): number => Math.round(performance.now() - startedMs)
  try {
    const answer = await request(url, {
      method: 'POST',
      dispatcher: agent,
      signal: timeout,
      headers: [...raw],
      body
    })
    const { statusCode } = answer
    const response = {
      status: statusCode,
      headers: shownHeaders(answer.headers),
      ...(await beginning(answer.body))
    }
    const location = response.headers.find(([name]) => name === 'location')?.[1]
    const fix = statusFix(statusCode, location)
    return { ...sent, accepted: fix === undefined, response, ...(fix && { fix }), durationMs: durationMs() }
  } catch (error) {
    const failure = timeout.aborted ? 'timeout' : (failureCode(error) ?? 'connection failed')
    return { ...sent, accepted: false, failure, fix: connectionFix(failure), durationMs: durationMs() }
  } finally {
    await agent.destroy()
  }
}

/** Cookies can be credentials. */
const shownHeaders = (headers: Dispatcher.ResponseData['headers']): readonly Header[] =>
  Object.entries(headers).flatMap(([name, value]) => {
    if (value === undefined) return []
    return [[name, name === 'set-cookie' ? '…' : [value].flat().join(', ')] as const]
  })

/** The status decides: an error of the body, for example that it never ends, only ends what is shown. */
async function beginning(body: Dispatcher.ResponseData['body']) {
  const chunks: Buffer[] = []
  let bytes = 0
  let complete = false
  try {
    for await (const chunk of body) {
      chunks.push(Buffer.from(chunk))
      bytes += chunk.length
      if (bytes > MAX_BODY_BYTES) break
    }
    complete = bytes <= MAX_BODY_BYTES
  } catch {}
  const text = Buffer.concat(chunks).toString()
  return {
    body: text.slice(0, MAX_BODY_CHARACTERS),
    truncated: !complete || text.length > MAX_BODY_CHARACTERS
  }
}
