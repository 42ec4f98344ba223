type JsonObject = Readonly<Record<string, unknown>>

/** Customer.io's object types, longest first, so that `in_app_opened` is not taken apart at its first `_`. */
const objectTypes = ['customer', 'whatsapp', 'webhook', 'in_app', 'email', 'slack', 'push', 'sms']

/** What may stand in a type: anything else could be personal, or break the subject of a message bus. */
const NAME = /^[a-z][a-z0-9_]{0,63}$/i

const UNKNOWN = 'io.customer.unknown'

/**
 * What the events of `cio-webhook doctor` call themselves, as `object_type` or in the flat format as
 * `event_type`. Whatever else they hold, their type is `io.customer.doctor`: one name for consumers to drop.
 */
export const DOCTOR = 'doctor'
export const DOCTOR_TYPE = `io.customer.${DOCTOR}`

/** The mark of every request of `cio-webhook doctor`. It counts on authentic deliveries only. */
export const DOCTOR_USER_AGENT = 'cio-webhook-doctor'

/**
 * The CloudEvents type `io.customer.<object_type>.<metric>`.
 *
 * `cio_subscription_preferences_changed` comes with `object_type_type` instead of `object_type`, and an older
 * flat format has `event_type: "email_opened"` (Customer.io's API description, read 2026-11-24). Pairs nobody
 * has documented are types too; only what is no name at all is `io.customer.unknown`.
 */
export function eventType(payload: JsonObject): string {
  const objectType = payload['object_type'] ?? payload['object_type_type']
  const metric = payload['metric']
  if (objectType === DOCTOR) return DOCTOR_TYPE
  if (isName(objectType) && isName(metric)) return `io.customer.${objectType}.${metric}`
  return flatType(payload['event_type']) ?? UNKNOWN
}

function flatType(eventType: unknown): string | undefined {
  if (!isName(eventType)) return undefined
  if (eventType === DOCTOR) return DOCTOR_TYPE
  const objectType = objectTypes.find(type => eventType.startsWith(`${type}_`))
  const metric = objectType && eventType.slice(objectType.length + 1)
  return isName(metric) ? `io.customer.${objectType}.${metric}` : undefined
}

const isName = (value: unknown): value is string => typeof value === 'string' && NAME.test(value)
