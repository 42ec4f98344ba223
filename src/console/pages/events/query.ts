// Tested by test/console/pages/events.slow.test.ts.
import { compileTypeGlobs } from '../../../event-types.ts'
import { isPosition, type LogPosition } from '../../../log/position.ts'
import type { AddressHash } from '../../../tools/events/address-hash.ts'
import type { EventFilter } from '../../../tools/events/event-filter.ts'
import { field } from '../../form-fields.ts'

/** The fields of the search form, as typed. */
export const searchFields = ['customer', 'email', 'id', 'type', 'from', 'to'] as const
export type SearchField = (typeof searchFields)[number]

/** A search as it stands in an address, or in a form. Empty fields are left out. */
export interface Search {
  readonly values: Readonly<Partial<Record<SearchField, string>>>
  /** The page continues here. */
  readonly before: LogPosition | undefined
  /** The reader turned it off. */
  readonly isLiveOff: boolean
}

export interface CompiledSearch extends EventFilter {
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
}

/** Longer values match nothing. */
const MAX_LENGTH = 512
const HOUR_MS = 60 * 60 * 1000
/** Ranges of time with a button of their own. */
export const shortcuts = [
  { name: '1h', label: 'Last hour', ms: HOUR_MS },
  { name: '24h', label: 'Last 24 hours', ms: 24 * HOUR_MS }
] as const

/** @param input a query string or a form, parsed; of a field that is there several times, nothing is read */
export function readSearch(input: unknown, nowMs: number): Search {
  const values: Partial<Record<SearchField, string>> = {}
  for (const name of searchFields) {
    const value = field(input, name)?.trim().slice(0, MAX_LENGTH)
    if (value !== undefined && value !== '') values[name] = value
  }
  const last = shortcuts.find(({ name }) => name === field(input, 'last'))
  if (last !== undefined) {
    values.from = inputTime(nowMs - last.ms)
    delete values.to
  }
  const before = field(input, 'before') ?? ''
  return {
    values,
    before: isPosition(before) && before.length < 64 ? before : undefined,
    isLiveOff: field(input, 'live') === 'off'
  }
}

/** @returns the problem in words if a field has a value that cannot be searched */
export function compileSearch(
  { values }: Search,
  { ofAddress, customerSubjects }: AddressHash
): CompiledSearch | { readonly problem: string } {
  const { customer, email, id, type, from, to } = values
  const hash = email === undefined ? undefined : ofAddress(email)
  if (email !== undefined && hash === undefined) return { problem: 'E-mail: this is not an e-mail address.' }
  const fromMs = from === undefined ? undefined : timeOf(from)
  const toMs = to === undefined ? undefined : timeOf(to)
  if (Number.isNaN(fromMs) || Number.isNaN(toMs)) {
    return { problem: 'From and To: give a date and a time in UTC, such as 2026-11-24T10:00.' }
  }
  if (type !== undefined) {
    try {
      compileTypeGlobs([type])
    } catch (error) {
      return { problem: `Type: ${error instanceof Error ? error.message : 'not a type'}.` }
    }
  }
  return {
    customers: customer === undefined ? undefined : customerSubjects(customer),
    hashes: hash === undefined ? undefined : [hash],
    ids: id === undefined ? undefined : [id],
    types: type === undefined ? undefined : [type],
    fromMs,
    toMs
  }
}

/**
 * A search with an address in any of its fields must not be in the address of a page. Nor one with a sign `@`: it can be an
 * address with a typing error.
 */
export const isPrivate = ({ values }: Search, { customerSubjects }: AddressHash): boolean =>
  values.email !== undefined ||
  Object.values(values).some(value => value.includes('@') || customerSubjects(value).length > 1)

/** New events are shown at the top: not on a later page, not in a range of time, and not for a private search. */
export const mayBeLive = ({ values, before }: Search, isPrivateSearch: boolean): boolean =>
  before === undefined && values.from === undefined && values.to === undefined && !isPrivateSearch

/** The address of a page with this search, which must not be private. */
export function searchPath(
  path: string,
  { values, isLiveOff }: Pick<Search, 'values' | 'isLiveOff'>,
  before?: LogPosition
): string {
  const parameters = new URLSearchParams()
  for (const name of searchFields) {
    const value = values[name]
    if (value !== undefined && name !== 'email') parameters.set(name, value)
  }
  if (before !== undefined) parameters.set('before', before)
  if (isLiveOff) parameters.set('live', 'off')
  const query = parameters.toString()
  return query === '' ? path : `${path}?${query}`
}

/** As an input `datetime-local` has it, in UTC. */
const inputTime = (ms: number): string => new Date(ms).toISOString().slice(0, 16)

/** @returns NaN if it is not a time */
const timeOf = (text: string): number =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?$/.test(text) ? Date.parse(`${text}Z`) : Number.NaN
