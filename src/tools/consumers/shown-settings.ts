// Tested by test/tools/consumers/parts.test.ts.
import type { ConsumerSettings } from '../../settings/consumers-file.ts'

const SECRET_KEYS: ReadonlySet<string> = new Set(['secrets', 'password', 'token'])

/** The settings of a consumer, without name, type and secrets. */
export function withoutSecrets(
  settings: ConsumerSettings | undefined
): Readonly<Record<string, unknown>> | undefined {
  if (settings === undefined) return undefined
  const { name: _name, type: _type, ...rest } = settings
  const shown = Object.entries(rest).filter(([key]) => !SECRET_KEYS.has(key))
  return Object.fromEntries(
    shown.map(([key, value]) => [key, key === 'url' ? shownUrl(String(value)) : value])
  )
}

/** A query can contain a token. */
export function shownUrl(text: string): string {
  const query = text.indexOf('?')
  return query === -1 ? text : `${text.slice(0, query)}?…`
}
