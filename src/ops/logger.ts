import { type DestinationStream, destination, type Logger, pino } from 'pino'
import { errorCode, ReportedError } from '../errors.ts'

export type { Logger }

/** Where the lines go: pino's own destination, or a stand-in that writes at once. */
type Output = DestinationStream & {
  readonly flush?: (done: () => void) => void
  /** Called by pino when the process ends. */
  flushSync?: () => void
}

/** Lines that wait for an output that takes none (a full disk, a hanging reader); later ones are dropped. */
const MAX_UNWRITTEN_BYTES = 4 * 1024 * 1024
/** How long the end waits for an output that takes no lines. */
const FLUSH_TIMEOUT_MS = 1000

/**
 * One JSON line an entry, on standard output, gathered into writes of about 4 kB and flushed at least each
 * second: a write a delivery would cost more than the delivery. What is buffered is written at a normal end and
 * after an uncaught error; SIGKILL can take the last second's lines with it. An output that fails costs lines,
 * never a delivery and never the end.
 *
 * @returns the logger, and what writes the rest before the process ends: never rejects, and gives up after a second
 */
export function createLogger(
  level: string,
  stream: Output = standardOutput()
): { readonly log: Logger; readonly flush: () => Promise<void> } {
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
  return {
    log,
    flush: () =>
      new Promise(done => {
        if (stream.flush === undefined) return done()
        const timer = setTimeout(() => {
          giveUp(stream)
          done()
        }, FLUSH_TIMEOUT_MS)
        stream.flush(() => {
          clearTimeout(timer)
          done()
        })
      })
  }
}

function standardOutput(): Output {
  const stream = destination({
    sync: false,
    minLength: 4096,
    maxLength: MAX_UNWRITTEN_BYTES,
    periodicFlush: 1000
  })
  // An error without a listener would be uncaught.
  stream.on('error', () => giveUp(stream))
  return stream
}

/**
 * When the process ends, sonic-boom 4.2 tries for ever to write the rest: to a full disk, or to a pipe that nobody
 * reads. The process would never end.
 */
function giveUp(stream: Output): void {
  stream.flushSync = () => {}
}

/**
 * An error without what it may carry: ioredis puts a command's arguments into `command`, and a message from
 * Redis can repeat them. Only names, codes and the messages of ReportedError are known to be clean.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = 'code' in error && typeof error.code === 'number' ? error.code : errorCode(error)
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    ...('reason' in error && typeof error.reason === 'string' ? { reason: error.reason } : {}),
    ...(error instanceof ReportedError ? { message: error.message } : {}),
    ...(error.name === 'ReplyError' ? { reply: error.message.split(' ', 1)[0] } : {}),
    stack: error.stack?.split('\n').filter(line => /^\s+at /.test(line)),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) })
  }
}
