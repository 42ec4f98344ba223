// Tested by test/tools/events/search.slow.test.ts.
import { compileTypeGlobs, eventName } from '../../event-types.ts'
import { parseCloudEvent } from '../../group/cloud-event.ts'
import type { StreamEntry } from '../../log/read-range.ts'
import type { ScanFilter } from './scan.ts'

/** Which events are searched. All that is given has to match; of a list, one value. */
export interface EventFilter {
  /** Customer ids as they stand in the events: see `customerSubjects`. */
  readonly customers?: readonly string[] | undefined
  /** Hashes of addresses or phone numbers, in any field: see `addressHash`. */
  readonly hashes?: readonly string[] | undefined
  /** Event ids. */
  readonly ids?: readonly string[] | undefined
  /** Globs over `<object_type>.<metric>`. */
  readonly types?: readonly string[] | undefined
}

interface CompiledFilter {
  /** For Redis, which compares texts only. Matches every entry that `matches` does. */
  readonly scan: ScanFilter
  readonly matches: (entry: Pick<StreamEntry, 'type' | 'event'>) => boolean
}

/** @throws TypeError that names a type that cannot match anything */
export function compileFilter({ customers, hashes, ids, types }: EventFilter): CompiledFilter {
  const matchesType = compileTypeGlobs(types)
  return {
    scan: {
      types: types?.map(longestLiteral) ?? [],
      // Written as receive/cloud-event.ts writes them: all other text would match too often.
      texts: [attributes('subject', customers), attributes('id', ids), hashes].filter(
        texts => texts !== undefined
      )
    },
    matches: ({ type, event }) => {
      if (!matchesType(type)) return false
      if (hashes !== undefined && !hashes.some(hash => event.includes(hash))) return false
      if (customers === undefined && ids === undefined) return true
      const { id, subject } = parseCloudEvent(event) ?? {}
      return includes(ids, id) && includes(customers, subject)
    }
  }
}

const attributes = (name: string, values: readonly string[] | undefined): readonly string[] | undefined =>
  values?.map(value => `"${name}":${JSON.stringify(value)}`)

const includes = (wanted: readonly string[] | undefined, value: string | undefined): boolean =>
  wanted === undefined || (value !== undefined && wanted.includes(value))

/** The longest part of a glob without wildcards: each type that matches the glob contains it. */
function longestLiteral(glob: string): string {
  return eventName(glob)
    .split(/[*?]+/)
    .reduce((longest, part) => (part.length > longest.length ? part : longest), '')
}
