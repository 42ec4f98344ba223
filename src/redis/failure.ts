import { errorCode, ReportedError } from '../errors.ts'
import type { RedisClient } from './connect.ts'

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at this address',
  ENOTFOUND: 'unknown host name',
  ETIMEDOUT: 'no connection in time: is a firewall in between?',
  WRONGPASS: 'wrong user or password',
  NOAUTH: 'a password is needed'
}

/**
 * Follows why a connection to Redis fails.
 *
 * @returns the cause for a message, behind `: `, or '' if none is known: the given error if it was written for the
 *   operator, else the code of the last failure. Other messages are not shown, since they may hold a secret
 */
export function followFailures(redis: RedisClient): (error?: unknown) => string {
  let code: string | undefined
  redis.on('error', error => {
    code = failureCode(error) ?? code
  })
  redis.on('ready', () => {
    code = undefined
  })
  return error => {
    if (error instanceof ReportedError) return `: ${error.message}`
    if (code === undefined) return ''
    const explanation = EXPLANATIONS[code]
    return explanation === undefined ? `: ${code}` : `: ${code} (${explanation})`
  }
}

/** Node's code, or the word that an error reply of Redis begins with. */
const failureCode = (error: Error): string | undefined =>
  errorCode(error) ?? /^[A-Z]{2,20}(?= )/.exec(error.message)?.[0]
