// Tested by test/console/pages/parked.slow.test.ts.
import { number } from '../../components.ts'
import { type Html, html } from '../../html.ts'

/** Bytes of a body that are shown. The command line has all of it. */
const MAX_TEXT_BYTES = 64 * 1024
const MAX_HEX_BYTES = 4 * 1024
const HEX_COLUMNS = 16

/** A revealed body, as text if it is UTF-8, or else in hex. @param revealed the body, or why it is not available */
export function bodyView(revealed: Buffer | string): Html {
  if (typeof revealed === 'string') {
    return html`<section class="problem error"><h2>Not revealed</h2><p>${revealed}.</p></section>`
  }
  const asText = utf8(revealed.subarray(0, MAX_TEXT_BYTES), revealed.length > MAX_TEXT_BYTES)
  const shown = Math.min(revealed.length, asText === undefined ? MAX_HEX_BYTES : MAX_TEXT_BYTES)
  return html`<h2>Body</h2>
<pre class="plain" tabindex="0" role="region" aria-label="Body">${asText ?? hexLines(revealed.subarray(0, MAX_HEX_BYTES))}</pre>
${shown === revealed.length ? undefined : html`<p class="note">The first ${number(shown)} of ${number(revealed.length)} bytes. All of it: <code>cio-webhook consumers parked show … --reveal</code></p>`}`
}

/** @param isCut the last character may be incomplete */
function utf8(bytes: Buffer, isCut: boolean): string | undefined {
  try {
    const decoded = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, {
      stream: isCut
    })
    // Control characters would be invisible.
    return /[^\P{Cc}\t\n\r]/u.test(decoded) ? undefined : decoded
  } catch {
    return undefined
  }
}

function hexLines(bytes: Buffer): string {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += HEX_COLUMNS) {
    const row = [...bytes.subarray(at, at + HEX_COLUMNS)]
    const hex = row.map(byte => byte.toString(16).padStart(2, '0')).join(' ')
    const ascii = row.map(byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(HEX_COLUMNS * 3)} ${ascii}`)
  }
  return lines.join('\n')
}
