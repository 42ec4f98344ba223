import type { IncomingHttpHeaders } from 'node:http'
import { cloudEvent } from './cloud-event.ts'
import type { LogEntry } from './event.ts'
import { DOCTOR_TYPE, DOCTOR_USER_AGENT } from './event-type.ts'

/**
 * Is this delivery from `cio-webhook doctor`? Ask only about an authentic one: anybody can send the header. Customer.io
 * sends its own, so without the signing key nobody can make a real delivery look like the doctor's.
 */
export const isFromDoctor = (headers: IncomingHttpHeaders): boolean =>
  headers['user-agent'] === DOCTOR_USER_AGENT

/**
 * What the doctor sends on purpose that is not an event would be parked, and parked deliveries raise an alert. It is
 * logged as an event of the doctor instead, without its body, and goes the way of all others.
 */
export function asDoctorEvent(
  entry: LogEntry,
  { source, receivedAtMs }: { readonly source: string; readonly receivedAtMs: number }
): LogEntry {
  if (entry.parked === undefined) return entry
  const { id, happenedAtMs } = entry
  const data = JSON.stringify({ reason: entry.parked })
  return {
    ...entry,
    stream: 'events',
    type: DOCTOR_TYPE,
    parked: undefined,
    event: cloudEvent({ id, type: DOCTOR_TYPE, source, subject: undefined, happenedAtMs, receivedAtMs }, data)
  }
}
