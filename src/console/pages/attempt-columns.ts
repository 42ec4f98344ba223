// Tested by test/console/pages/events.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { Attempt } from '../../dispatch/attempts.ts'
import { number, pill, type TableColumn, text, time } from '../components.ts'

/** An attempt of a consumer and an event that the page has named already. */
export type ShownAttempt = Omit<Attempt, 'consumer' | 'eventId'>

/** The columns of a table of attempts. @param event where the attempts are of different events */
export const attemptColumns = <Row extends ShownAttempt>(
  event?: TableColumn<Row>
): readonly TableColumn<Row>[] => [
  { title: 'Time', cell: ({ atMs }) => time(atMs) },
  ...(event === undefined ? [] : [event]),
  { title: 'Attempt', isNumber: true, cell: ({ attempt }) => attempt },
  { title: 'Outcome', cell: ({ outcome }) => pill(outcome === 'delivered' ? 'good' : 'bad', outcome) },
  { title: 'Answer', cell: ({ answer }) => text(answer) },
  { title: 'Milliseconds', isNumber: true, cell: ({ durationMs }) => number(Math.round(durationMs)) }
]
