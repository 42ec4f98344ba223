// Tested by test/cli/consumers/test.slow.test.ts.
import type { Exchange } from '../../tools/consumers/test-consumer.ts'
import { terminalSafe } from '../terminal.ts'

/** What was sent, what came back, and the likely remedy. */
export function exchangeText(exchange: Exchange): string {
  const { accepted, durationMs, failure, fix } = exchange
  const verdict = accepted ? `accepted after ${durationMs} ms` : `not accepted after ${durationMs} ms`
  const lines = [
    ...(exchange.kind === 'http' ? httpLines(exchange) : brokerLines(exchange)),
    '',
    failure === undefined ? verdict : `${verdict}: ${failure}`,
    ...(fix === undefined ? [] : [`fix: ${fix}`])
  ]
  return lines.map(line => `${terminalSafe(line)}\n`).join('')
}

function httpLines({ request, response }: Exchange & { readonly kind: 'http' }): string[] {
  const { method, url, headers, body } = request
  const sent = [`> ${method} ${url}`, ...headerLines('>', headers), '>', `> ${body}`]
  if (response === undefined) return sent
  const more = response.truncated ? ['< … (the rest is not shown)'] : []
  const answer = response.body === '' ? [] : ['<', ...response.body.split('\n').map(line => `< ${line}`)]
  return [...sent, '', `< ${response.status}`, ...headerLines('<', response.headers), ...answer, ...more]
}

const headerLines = (mark: string, headers: readonly (readonly [string, string])[]): string[] =>
  headers.map(([name, value]) => `${mark} ${name}: ${value}`)

function brokerLines({
  connection,
  destination,
  body,
  confirmation
}: Exchange & { readonly kind: 'nats' | 'amqp' }): string[] {
  const sent = [`connection: ${connection}`, `destination: ${destination}`, `> ${body}`]
  return confirmation === undefined ? sent : [...sent, `< ${confirmation}`]
}
