import { isOneEditApart } from './edit-distance.ts'

type JsonObject = Readonly<Record<string, unknown>>

/** Customer.io's object types, longest first, so that `in_app_opened` is not split at its first `_`. */
export const objectTypes: readonly string[] = [
  'customer',
  'whatsapp',
  'webhook',
  'in_app',
  'email',
  'slack',
  'push',
  'sms'
]

/** Allowed in a type. Other text could be personal data, or break the subject of a message bus. */
const NAME = /^[a-z][a-z0-9_]{0,63}$/i

/** Prefix of every CloudEvents type here. The rest is `<object_type>.<metric>`, `unknown`, `doctor` or `parked`. */
const PREFIX = 'io.customer.'
const UNKNOWN = `${PREFIX}unknown`

/**
 * The `object_type` of events of `cio-webhook doctor`, in the flat format their `event_type`. All of them have the type
 * `io.customer.doctor`, so consumers can drop them by one name.
 */
export const DOCTOR = 'doctor'
export const DOCTOR_TYPE = `${PREFIX}${DOCTOR}`

/** The `source` of every CloudEvent here begins with this; the name of the source follows. */
export const SOURCE_PREFIX = '/customerio/'

/** In every request of `cio-webhook doctor`. It only has a meaning in authentic deliveries. */
export const DOCTOR_USER_AGENT = 'cio-webhook-doctor'

/**
 * The CloudEvents type `io.customer.<object_type>.<metric>`.
 *
 * `cio_subscription_preferences_changed` has `object_type_type` instead of `object_type`, and an older flat format has
 * `event_type: "email_opened"` (Customer.io's API description, read 2026-11-24). Undocumented pairs are types too; values
 * that are not names give `io.customer.unknown`.
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

/** The metric of a CloudEvents type: `opened` of `io.customer.email.opened`; `undefined` if it has none. */
export function metricOf(type: string): string | undefined {
  const dot = type.indexOf('.', PREFIX.length)
  return dot === -1 ? undefined : type.slice(dot + 1)
}

/** Whether a CloudEvents type matches one of the globs. */
export type TypeMatcher = (type: string) => boolean

/** Types without `<object_type>.<metric>`. */
const dotless = ['unknown', DOCTOR, 'parked']

/**
 * Compiles globs over `<object_type>.<metric>` (`email.*`, `*.bounced`, `customer.unsubscribed`), also as the full
 * CloudEvents type (`io.customer.email.*`): `*` is any number of characters, also none, and `?` is one character. Case
 * matters. Without globs every type matches. Events without an object type are `unknown`.
 *
 * @throws TypeError that names a glob that cannot match anything
 */
export function compileTypeGlobs(globs: readonly string[] | undefined): TypeMatcher {
  if (globs === undefined) return () => true
  if (globs.length === 0) throw new TypeError('no types: leave them out for all events')
  for (const glob of globs) {
    const problem = typeGlobProblem(glob)
    if (problem !== undefined) throw new TypeError(`${JSON.stringify(glob)} matches no event: ${problem}`)
  }
  const names = globs.map(eventName)
  return type => names.some(name => matches(name, eventName(type)))
}

/** @returns why a glob cannot match the type of any event, and what is allowed; `undefined` if it can match one */
export function typeGlobProblem(glob: string): string | undefined {
  const name = eventName(glob)
  if (!/^[a-z0-9_.*?]+$/i.test(name)) {
    return 'a glob over <object_type>.<metric> has only letters, digits, _ . * and ?'
  }
  const parts = name.split('.')
  if (parts.length > 2) return 'a type is <object_type>.<metric>, with one dot, such as email.opened'
  if (parts.some(part => !/^[a-z*?]/i.test(part))) {
    return 'object type and metric begin with a letter, such as email.opened'
  }
  // Without a dot, a star can stand for it.
  const maxLength = parts.length === 2 ? 64 : 129
  if (parts.some(part => part.replaceAll('*', '').length > maxLength)) {
    return 'object type and metric have at most 64 characters'
  }
  if (parts.length === 2 || name.includes('*') || dotless.some(type => matches(name, type))) return undefined
  const objectType = objectTypes.find(type => name.startsWith(`${type}_`))
  const meant = objectType === undefined ? `${name}.*` : `${objectType}.${name.slice(objectType.length + 1)}`
  return `a type is <object_type>.<metric>: did you mean ${meant}?`
}

/**
 * Globs whose object type differs by one letter from a documented one. They can match, since undocumented types exist.
 *
 * @returns a message for each
 */
export function misspeltTypes(globs: readonly string[] = []): readonly string[] {
  return globs.flatMap(glob => {
    const [objectType = ''] = eventName(glob).split('.')
    const meant = objectTypes.find(type => isOneEditApart(type, objectType))
    return meant === undefined || !NAME.test(objectType)
      ? []
      : [`the type ${glob} is probably misspelt: Customer.io documents ${meant}, not ${objectType}`]
  })
}

/** Needs at most glob × text steps: only the last star is ever extended. */
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

/** The routing key of events without `<object_type>.<metric>`. */
const UNKNOWN_KEY = 'unknown'

/** Contains no separator or wildcard of a broker. */
const KEY = /^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/i

/**
 * The key that brokers route by: `<object_type>.<metric>` of a CloudEvents type, or `unknown`. Types in the log that the
 * receiver would not have written become `unknown` too.
 */
export function routingKey(type: string): string {
  const key = eventName(type)
  return type.startsWith(PREFIX) && KEY.test(key) ? key : UNKNOWN_KEY
}
