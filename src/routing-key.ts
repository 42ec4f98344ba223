const PREFIX = 'io.customer.'

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
