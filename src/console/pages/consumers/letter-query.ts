// Tested by test/console/pages/consumers.slow.test.ts.
import { type LetterFilter, letterReasons } from '../../../tools/consumers/choose-letters.ts'
import { ConsoleError } from '../../console-error.ts'
import { field } from '../../form-fields.ts'

/** The filter of a page of dead letters, as its form and its address have it. '': not given. */
export interface LetterQuery {
  /** A glob over `<object_type>.<metric>`. */
  readonly type: string
  /** `2026-11-27T03:00`, in UTC. */
  readonly since: string
  readonly reason: string
}

const MAX_TYPE_LENGTH = 141
const SINCE = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/

/** @param from the query of an address, or the body of a form */
export function readLetterQuery(from: unknown): LetterQuery {
  const value = (name: string): string => (field(from, name) ?? '').trim()
  return { type: value('type'), since: value('since'), reason: value('reason') }
}

/** @throws ConsoleError for a value that is not allowed */
export function letterFilter({ type, since, reason }: LetterQuery): LetterFilter {
  if (type.length > MAX_TYPE_LENGTH) throw refused(`A type has at most ${MAX_TYPE_LENGTH} characters.`)
  const sinceMs = since === '' ? undefined : Date.parse(`${since}Z`)
  if (since !== '' && (!SINCE.test(since) || Number.isNaN(sinceMs))) {
    throw refused('Give the time as 2026-11-27T03:00, in UTC.')
  }
  const known = letterReasons.find(one => one === reason)
  if (reason !== '' && known === undefined) throw refused(`Reasons are ${letterReasons.join(', ')}.`)
  return { types: type === '' ? undefined : [type], sinceMs, reason: known }
}

export const isFiltered = (query: LetterQuery): boolean => Object.values(query).some(value => value !== '')

/** The address of a page. @param more further values, such as where the page begins */
export function letterSearch(query: LetterQuery, more: Readonly<Record<string, string>> = {}): string {
  const given = Object.entries({ ...query, ...more }).filter(([, value]) => value !== '')
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`
}

const refused = (text: string): ConsoleError => new ConsoleError(400, 'Not a filter', text)
