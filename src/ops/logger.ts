// Tested by test/secret.test.ts and test/cli/output.slow.test.ts.
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import { onTick } from '../async/tick.ts'
import { errorCode, ReportedError } from '../errors.ts'

export type { Logger }

/** Where the lines go: pino's own destination, or one that writes at once. */
type Output = DestinationStream & {
  readonly flush?: (done: () => void) => void
  /** pino calls it when the process ends. */
  flushSync?: () => void
}

/** Lines that wait for an output that accepts none (disk full, reader hangs). Later lines are dropped. */
const MAX_UNWRITTEN_BYTES = 4 * 1024 * 1024
/** How long a stopping process waits for an output that accepts no lines. */
const FLUSH_TIMEOUT_MS = 1000

/**
 * Writes JSON lines to standard output, in blocks of about 4 kB, or at the next tick: one write per delivery would cost
 * more than the delivery. A normal end and an uncaught error write the rest; SIGKILL can lose the lines of a quarter of a
 * second. An output that fails costs lines, but never a delivery, and never blocks the end of the process.
 *
 * @returns the logger, and a function that writes the rest before the process ends: never rejects, takes at most a second
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
    maxLength: MAX_UNWRITTEN_BYTES
  })
  // Its own `periodicFlush` wakes up two threads of an idle process every time, to write nothing.
  let hasLines = false
  const write = stream.write.bind(stream)
  stream.write = line => {
    hasLines = true
    return write(line)
  }
  onTick(() => {
    if (!hasLines) return
    hasLines = false
    stream.flush()
  })
  // Without a listener an 'error' event would crash the process.
  stream.on('error', () => {
    hasLines = true
    giveUp(stream)
  })
  return stream
}

/**
 * At the end of the process, sonic-boom 4.2 tries forever to write the rest to a full disk, or to a pipe without a
 * reader: the process would never end.
 */
function giveUp(stream: Output): void {
  stream.flushSync = () => {}
}

/**
 * An error as log lines show it. Its message and other properties can contain a payload: ioredis adds the arguments of a
 * command as `command`, and a message of Redis can repeat them. Only names, codes and messages of ReportedError are safe.
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
