import { errorCode } from '../errors.ts'
import type { Logger } from './logger.ts'

const REPEAT_MS = 60_000

/**
 * Reports that spans could not be sent, once per minute at most, however often the collector fails and recovers.
 *
 * @param collector its address, for the log line
 * @param now a clock in milliseconds
 */
export function createExportReport(
  collector: string,
  log: Logger,
  now: () => number = () => performance.now()
): (error: Error, spans: number) => void {
  let loggedAtMs = Number.NEGATIVE_INFINITY
  let lost = 0
  return (error, spans) => {
    lost += spans
    if (now() - loggedAtMs < REPEAT_MS) return
    log.warn(
      { collector, code: causeOf(error), spans: lost },
      'spans were not accepted by the collector and are lost; deliveries are not affected. Check OTEL_EXPORTER_OTLP_ENDPOINT and that the collector receives OTLP over HTTP'
    )
    loggedAtMs = now()
    lost = 0
  }
}

/** A code of Node, or the status that the collector answered. Its messages can contain text of the collector. */
function causeOf(error: Error): string {
  const status = 'code' in error && typeof error.code === 'number' ? `status ${error.code}` : undefined
  return errorCode(error) ?? status ?? (error.cause instanceof Error ? causeOf(error.cause) : error.name)
}
