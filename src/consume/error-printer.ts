// Tested by test/consume/errors.slow.test.ts.
import { createIncident } from '../async/incident.ts'
import { formatDuration } from '../duration.ts'
import { ConfigError, errorCode } from '../errors.ts'
import { EntriesDeletedError, type ErrorContext } from '../group/entry-errors.ts'
import type { Failures } from '../redis/failure.ts'

/** A failing member reports an error about every third of its lease. Without one for this long, it works again. */
const QUIET_MS = 10_000

/**
 * The default `onError`. Prints names, codes and causes, but no message of others, which can be personal: each cause
 * once, then once per minute while it lasts, and each dead letter.
 *
 * @param failures of the connection; `undefined` before it is opened
 */
export function createErrorPrinter(
  group: string,
  failures: () => Failures | undefined
): (error: unknown, about?: ErrorContext) => void {
  const ofEvents = createIncident()
  const ofRedis = createIncident()
  let lastErrorMs = 0
  let quiet: NodeJS.Timeout | undefined
  return (error, about) => {
    if (about !== undefined) printEvent(error, about)
    else if (error instanceof EntriesDeletedError) print(`${error.name}: ${error.message}`)
    else void printRedis(error)
  }

  function printEvent(error: unknown, { type, entryId, attempt, dead }: ErrorContext): void {
    const name = nameOf(error)
    if (ofEvents.report(name) === undefined && !dead) return
    print(`${name}: ${type} ${entryId}, attempt ${attempt}${dead ? ', now a dead letter' : ''}`)
  }

  async function printRedis(error: unknown): Promise<void> {
    lastErrorMs = performance.now()
    clearTimeout(quiet)
    quiet = setTimeout(printRecovery, QUIET_MS)
    quiet.unref()
    const isReply = error instanceof Error && error.name === 'ReplyError'
    const { address, cause } = (await failures()?.describe(error)) ?? { address: '', cause: nameOf(error) }
    const durationMs = ofRedis.report(cause)
    if (durationMs === undefined) return
    const lasting = durationMs < 1000 ? '' : ` for ${formatDuration(durationMs)}`
    print(
      isReply
        ? `Redis at ${address} refuses a command${lasting}: ${cause}; it is repeated`
        : `cannot reach Redis at ${address}${lasting}: ${cause}; events wait in the log until it is back`
    )
  }

  function printRecovery(): void {
    const durationMs = ofRedis.resolve()
    if (durationMs === undefined) return
    print(`Redis works again after ${formatDuration(durationMs - (performance.now() - lastErrorMs))}`)
  }

  function print(text: string): void {
    console.error(`cio-webhook consumer ${group}: ${text}`)
  }
}

function nameOf(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  if (!(error instanceof Error)) return typeof error
  const code = errorCode(error)
  // A code of Node or a library; a text that only looks like one could be personal.
  return code !== undefined && /^[A-Z][A-Z0-9_]{1,40}$/.test(code) ? `${error.name} ${code}` : error.name
}
