import { mark } from './raw-value.ts'

/** `a=1&b=2`, also a single encoded text: no blanks, quotes or brackets of its own. */
export function isForm(text: string): boolean {
  return /[=%]/.test(text) && !/[\s"'{}<>\\]/.test(text)
}

/** Percent-encoded bytes resolved; what is none stays as it is. */
export function unescapePercent(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/(?:%[0-9a-f]{2}){1,4096}/gi, bytes =>
    Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8')
  )
}

/** A form's value as it was before it was encoded. */
export function decodeForm(text: string): string {
  return unescapePercent(text.replaceAll('+', ' '))
}

/** Encoded for a form, the marks in brackets left legible. */
export function encodeForm(text: string): string {
  return encodeURIComponent(text.replace(/\p{Cs}/gu, '\ufffd')).replace(
    /%5B(REDACTED|EMAIL|PHONE|CARD|SSN)%5D/g,
    '[$1]'
  )
}

/** The field a form's key names: `user[email]`, `user.email` and `/path?email` name `email`. */
export function formName(key: string): string {
  const names = key
    .slice(-300)
    .replaceAll(mark, ' ')
    .match(/[\w$\u0080-\uffff-]{1,300}/g)
  return names?.at(-1) ?? ''
}
