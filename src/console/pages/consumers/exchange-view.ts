// Tested by test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import type { Exchange } from '../../../tools/consumers/test-consumer.ts'
import { form, number, pill, text } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { jsonView } from '../events/json-view.ts'
import { consumerPath } from './list-view.ts'

/** What was sent to the target of a consumer, and what came back. */
export function exchangeView(request: FastifyRequest, name: string, exchange: Exchange): Html {
  const { accepted, durationMs, failure, fix } = exchange
  return html`<section class="card"><h2>${accepted ? pill('good', 'accepted') : pill('bad', 'not accepted')} after ${number(durationMs)} ms</h2>
${failure === undefined ? undefined : html`<p>Cause: <code>${failure}</code></p>`}
${fix === undefined ? undefined : html`<p>Fix: ${text(fix)}.</p>`}
<p class="lead">The event was marked as a test. It is not in the log, and counts as no attempt.</p>
<div class="actions">${form(request, consumerPath(name, '/test'), html`<button type="submit">Send another one</button>`)}<a class="button" href="${consumerPath(name)}">Back to ${name}</a></div></section>
${exchange.kind === 'http' ? httpView(exchange) : brokerView(exchange)}`
}

function httpView({ request, response }: Exchange & { readonly kind: 'http' }): Html {
  return html`<h2>Request</h2>
${lines('Request', [`${request.method} ${request.url}`, ...headerLines(request.headers)])}
${jsonView('Body of the request', request.body)}
<h2>Response</h2>
${
  response === undefined
    ? html`<p class="lead">None.</p>`
    : html`${lines('Response', [String(response.status), ...headerLines(response.headers)])}
${response.body === '' ? undefined : lines('Body of the response', [response.body])}
${response.truncated ? html`<p class="note">The rest of the body is not shown.</p>` : undefined}`
}`
}

function brokerView({
  connection,
  destination,
  body,
  confirmation
}: Exchange & { readonly kind: 'nats' | 'amqp' }): Html {
  return html`<h2>Sent</h2>
${lines('Sent', [`connection: ${connection}`, `destination: ${destination}`])}
${jsonView('Body', body)}
<h2>Answer</h2>
<p>${confirmation ?? 'None.'}</p>`
}

const headerLines = (headers: readonly (readonly [string, string])[]): string[] =>
  headers.map(([name, value]) => `${name}: ${value}`)

const lines = (label: string, all: readonly string[]): Html =>
  html`<pre class="plain" tabindex="0" role="region" aria-label="${label}">${all.join('\n')}</pre>`
