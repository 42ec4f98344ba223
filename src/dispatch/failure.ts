// Tested by test/dispatch/failure.test.ts.
import { errorCode, ReportedError } from '../errors.ts'

const MAX_TEXT = 200

/** What AMQP closes a connection or channel with, as amqplib 2 words it: `403 (ACCESS-REFUSED) with message "…"`. */
const AMQP_CLOSE = /\b(\d{3}) \(([A-Z-]+)\)(?: with message "(.*)")?/

/** The innermost code of an error and its causes, such as `ECONNREFUSED`, `10065` or `ACCESS_REFUSED 403`. */
export function failureCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const cause: unknown = error instanceof AggregateError ? error.errors.at(-1) : error.cause
  return failureCode(cause) ?? ownCode(error)
}

function ownCode(error: Error): string | undefined {
  const [, status, name] = AMQP_CLOSE.exec(error.message) ?? []
  if (status !== undefined && name !== undefined) return `${name.replaceAll('-', '_')} ${status}`
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'timeout'
  return 'code' in error && typeof error.code === 'number' ? String(error.code) : errorCode(error)
}

/** The answer of a failed attempt: a code, or the class of the error. */
export function answerOf(error: unknown): string {
  const code = failureCode(error)
  if (code !== undefined) return code
  return error instanceof Error && !(error instanceof ReportedError) ? error.name : 'failed'
}

/** Why an attempt failed, for operators: a message that is written for them, and the code. Nothing else of the error. */
export function reasonOf(error: unknown): string {
  const message = error instanceof ReportedError ? error.message : 'publish failed'
  const code = failureCode(error)
  if (code === undefined || code.split(' ').every(word => message.includes(word))) return message
  return `${message}: ${code}`
}

/** The text of a broker's or its client's error, in one line. Neither contains credentials or events. */
export function brokerText(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const [, status, name, message] = AMQP_CLOSE.exec(error.message) ?? []
  const text = (message ?? name ?? error.message).replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_TEXT)
  const code = status ?? failureCode(error)
  return code === undefined || text.includes(code) ? text : `${text} (${code})`
}
