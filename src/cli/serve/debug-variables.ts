/**
 * Libraries write debug output to standard error and show in it what they send: ioredis prints each command with its
 * arguments, AUTH and events among them. The variable is read when a library is loaded, so this module is imported
 * before all others. Child processes do not see the variable either.
 */
export const ignoredVariables: readonly string[] = process.env['DEBUG'] ? ['DEBUG'] : []
delete process.env['DEBUG']

export const IGNORED_DEBUG =
  'DEBUG is ignored: with it libraries would print passwords and payloads; for more log lines set LOG_LEVEL=debug'

/** Node.js reads NODE_DEBUG before any of our code runs, so it cannot be unset here. */
export const refusedDebug: string | undefined = process.env['NODE_DEBUG']
  ? 'NODE_DEBUG is not allowed: Node.js would print headers and payloads of requests; unset it'
  : undefined
