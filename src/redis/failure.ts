import { errorCode } from '../errors.ts'
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
 * @returns the reason of the last failure in parentheses, behind a space; '' where there was none. It holds the code
 *   and never the message, which may hold a secret
 */
export function followFailures(redis: RedisClient): () => string {
  let code: string | undefined
  redis.on('error', error => {
    code = failureCode(error) ?? code
  })
  redis.on('ready', () => {
    code = undefined
  })
  return () => {
    if (code === undefined) return ''
    const explanation = EXPLANATIONS[code]
    return explanation === undefined ? ` (${code})` : ` (${code}: ${explanation})`
  }
}

/** Node's code, or the word that an error reply of Redis begins with. */
const failureCode = (error: Error): string | undefined =>
  errorCode(error) ?? /^[A-Z]{2,20}(?= )/.exec(error.message)?.[0]
