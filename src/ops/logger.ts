import { type DestinationStream, destination, type Logger, pino } from 'pino'

export type { Logger }

/**
 * One JSON line an entry, on standard output, gathered into writes of about 4 kB and flushed at least each
 * second: a write a delivery would cost more than the delivery. What is buffered is written at a normal end and
 * after an uncaught error; SIGKILL can take the last second's lines with it.
 *
 * @returns the logger, and what writes the rest before the process ends
 */
export function createLogger(
  level: string,
  stream: DestinationStream & { flushSync?: () => void } = destination({
    sync: false,
    minLength: 4096,
    periodicFlush: 1000
  })
): { readonly log: Logger; readonly flush: () => void } {
  const log = pino(
    {
      level,
      base: { service: 'cio-webhook', pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
      serializers: { err: describeError }
    },
    stream
  )
  return { log, flush: () => stream.flushSync?.() }
}

/**
 * An error without what it may carry: ioredis puts a command's arguments into `command`, and a message from
 * Redis can repeat them. Only our own messages, names and codes are known to be clean.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    ...('reason' in error && typeof error.reason === 'string' ? { reason: error.reason } : {}),
    ...(error.name === 'ReplyError' ? { reply: error.message.split(' ', 1)[0] } : {}),
    stack: error.stack?.split('\n').filter(line => /^\s+at /.test(line)),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) })
  }
}
