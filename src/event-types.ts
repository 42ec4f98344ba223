type JsonObject = Readonly<Record<string, unknown>>

/** Customer.io's object types, longest first, so that `in_app_opened` is not taken apart at its first `_`. */
const objectTypes = ['customer', 'whatsapp', 'webhook', 'in_app', 'email', 'slack', 'push', 'sms']

/** What may stand in a type: anything else could be personal, or break the subject of a message bus. */
const NAME = /^[a-z][a-z0-9_]{0,63}$/i

/** What every CloudEvents type of ours starts with; the rest is `<object_type>.<metric>`, or one of two names. */
const PREFIX = 'io.customer.'
const UNKNOWN = `${PREFIX}unknown`

/**
 * What the events of `cio-webhook doctor` call themselves, as `object_type` or in the flat format as
 * `event_type`. Whatever else they hold, their type is `io.customer.doctor`: one name for consumers to drop.
 */
export const DOCTOR = 'doctor'
export const DOCTOR_TYPE = `${PREFIX}${DOCTOR}`

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
  if (isName(objectType) && isName(metric)) return `${PREFIX}${objectType}.${metric}`
  return flatType(payload['event_type']) ?? UNKNOWN
}

function flatType(eventType: unknown): string | undefined {
  if (!isName(eventType)) return undefined
  if (eventType === DOCTOR) return DOCTOR_TYPE
  const objectType = objectTypes.find(type => eventType.startsWith(`${type}_`))
  const metric = objectType && eventType.slice(objectType.length + 1)
  return isName(metric) ? `${PREFIX}${objectType}.${metric}` : undefined
}

const isName = (value: unknown): value is string => typeof value === 'string' && NAME.test(value)

/** `<object_type>.<metric>` of a CloudEvents type, or `unknown` or `doctor`. */
export const eventName = (type: string): string =>
  type.startsWith(PREFIX) ? type.slice(PREFIX.length) : type

/** Does an event of this CloudEvents type concern whoever gave the globs? */
export type TypeMatcher = (type: string) => boolean

/** Names of object types and metrics are at most 64 characters each. */
const GLOB = /^[a-z0-9_.*?]{1,129}$/i

/**
 * Compiles globs over `<object_type>.<metric>` (`email.*`, `*.bounced`, `customer.unsubscribed`): `*` is any run
 * of characters, none too, and `?` is one; upper and lower case differ. Without globs everything matches; what
 * has no object type is `unknown`.
 *
 * @throws TypeError that names the glob: one that could match nothing is a mistake
 */
export function compileTypeGlobs(globs: readonly string[] | undefined): TypeMatcher {
  if (globs === undefined) return () => true
  if (globs.length === 0) throw new TypeError('no types: leave them out for all events')
  for (const glob of globs) {
    if (GLOB.test(glob)) continue
    throw new TypeError(
      `not a glob over <object_type>.<metric>: ${JSON.stringify(glob)} (letters, digits, _ . * ? only)`
    )
  }
  return type => globs.some(glob => matches(glob, eventName(type)))
}

/** In at most glob × text steps: a star that turns out too short is lengthened, and only the last one ever. */
function matches(glob: string, text: string): boolean {
  let inGlob = 0
  let inText = 0
  let star = -1
  let starEnd = 0
  while (inText < text.length) {
    const wanted = glob[inGlob]
    if (wanted === '*') {
      star = inGlob++
      starEnd = inText
    } else if (wanted === '?' || wanted === text[inText]) {
      inGlob++
      inText++
    } else if (star !== -1) {
      inGlob = star + 1
      inText = ++starEnd
    } else return false
  }
  while (glob[inGlob] === '*') inGlob++
  return inGlob === glob.length
}

/** What stands for an event that has no `<object_type>.<metric>`. */
export const UNKNOWN_KEY = 'unknown'

/** Words that no broker takes for a separator or a wildcard. */
const KEY = /^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/i

/**
 * What brokers route by: `<object_type>.<metric>` of a CloudEvents type, `unknown` where it has none.
 *
 * The receiver lets nothing but words into a type; whatever else stands in the log does not reach a subject.
 */
export function routingKey(type: string): string {
  if (!type.startsWith(PREFIX)) return UNKNOWN_KEY
  const key = type.slice(PREFIX.length)
  return KEY.test(key) ? key : UNKNOWN_KEY
}
