// Tested by test/console/pages/events.slow.test.ts.
import { stringifyExactly, withExactNumbers } from '../../../exact-json.ts'
import { number } from '../../components.ts'
import { type Html, html } from '../../html.ts'

/** Longer texts are not indented: that takes up to 0.3 s per MB, in a process that also receives deliveries. */
const MAX_INDENTED_LENGTH = 256 * 1024
/** Longer texts are not coloured: each value would become an element of the page. */
const MAX_COLOURED_LENGTH = 128 * 1024
/** Longer texts are cut: the browser would not show them in time. */
const MAX_LENGTH = 1024 * 1024

/** A string, with the colon after a name; a number, or a word. In JSON, nothing else has letters or digits. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|-?\d[\d.eE+-]*|true|false|null/g

/** JSON text, indented and coloured, with all digits of its numbers. One that is long or not JSON is shown as it is. */
export function jsonView(label: string, text: string): Html {
  const pretty = text.length <= MAX_INDENTED_LENGTH ? prettyJson(text) : undefined
  const shown = pretty ?? text
  const isColoured = pretty !== undefined && pretty.length <= MAX_COLOURED_LENGTH
  const cut =
    shown.length > MAX_LENGTH
      ? html`<p>These are the first ${number(MAX_LENGTH)} of ${number(shown.length)} characters.</p>`
      : undefined
  return html`<pre class="json" tabindex="0" role="region" aria-label="${label}">${isColoured ? coloured(pretty) : shown.slice(0, MAX_LENGTH)}</pre>${cut}`
}

function prettyJson(text: string): string | undefined {
  try {
    return stringifyExactly(withExactNumbers(JSON.parse(text), text), 2)
  } catch {
    return undefined
  }
}

function coloured(json: string): readonly Html[] {
  const parts: Html[] = []
  let end = 0
  for (const match of json.matchAll(TOKEN)) {
    const [all, text, colon] = match
    const token = text ?? all
    parts.push(html`${json.slice(end, match.index)}<span class="${classOf(token, colon)}">${token}</span>`)
    end = match.index + token.length
  }
  return [...parts, html`${json.slice(end)}`]
}

function classOf(token: string, colon: string | undefined): string {
  if (colon !== undefined) return 'json-name'
  if (token.startsWith('"')) return 'json-string'
  return /^[-\d]/.test(token) ? 'json-number' : 'json-word'
}
