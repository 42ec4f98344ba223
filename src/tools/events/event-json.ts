// Tested by test/cli/events/command.slow.test.ts and test/console/api.slow.test.ts.
import { withExactNumbers } from '../../exact-json.ts'
import type { StreamEntry } from '../../log/read-range.ts'
import type { EventPath } from './event-path.ts'

/** The event, its numbers with all their digits: for `stringifyExactly`. The text itself if it is not JSON. */
export function eventJson(text: string): unknown {
  try {
    return withExactNumbers(JSON.parse(text), text)
  } catch {
    return text
  }
}

/** An event of a list. */
export const foundEventJson = ({ partition, id, event }: StreamEntry) => ({
  partition,
  entry: id,
  event: eventJson(event)
})

/** An event with what each consumer did with it. */
export const pathsJson = (paths: readonly EventPath[]) =>
  paths.map(path => ({ ...path, event: eventJson(path.event) }))
