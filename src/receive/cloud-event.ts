// Tested by test/receive/payloads.test.ts.
import { SOURCE_PREFIX } from '../event-types.ts'
import type { EventTrace } from '../trace-context.ts'

interface Envelope {
  readonly id: string
  /** CloudEvents type. */
  readonly type: string
  /** Name of the configured source. */
  readonly source: string
  readonly subject: string | undefined
  /** Unix milliseconds. */
  readonly happenedAtMs: number | undefined
  readonly receivedAtMs: number
  /** The trace that records it. */
  readonly trace?: EventTrace | undefined
  /** Appended by `reconcile`: no delivery brought it. */
  readonly backfilled?: boolean
}

const timeOfEvent = lastTimeCached()
const timeOfArrival = lastTimeCached()

/**
 * A CloudEvents 1.0 object as JSON text.
 *
 * @param data JSON text, inserted as it is
 */
export function cloudEvent(envelope: Envelope, data: string): string {
  const { id, type, source, subject, happenedAtMs, receivedAtMs, trace } = envelope
  const about = subject === undefined ? '' : `,"subject":${JSON.stringify(subject)}`
  const backfilled = envelope.backfilled ? ',"backfilled":true' : ''
  const time = happenedAtMs === undefined ? '' : `,"time":"${timeOfEvent(happenedAtMs)}"`
  const traced = trace === undefined ? '' : `,${JSON.stringify(trace).slice(1, -1)}`
  return `{"specversion":"1.0","id":${JSON.stringify(id)},"source":"${SOURCE_PREFIX}${source}","type":"${type}"${about}${time},"receivedtime":"${timeOfArrival(receivedAtMs)}"${backfilled}${traced},"datacontenttype":"application/json","data":${data}}`
}

/** Formats a time as RFC 3339. Under load, many deliveries in a row have the same millisecond: the text is reused. */
function lastTimeCached(): (ms: number) => string {
  let last = Number.NaN
  let text = ''
  return ms => {
    if (ms !== last) text = new Date(ms).toISOString()
    last = ms
    return text
  }
}
