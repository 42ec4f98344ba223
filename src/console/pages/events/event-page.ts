// Tested by test/console/pages/events.slow.test.ts and test/console/pages/events-browser.slow.test.ts.
import { formatDuration } from '../../../duration.ts'
import { isPosition } from '../../../log/position.ts'
import { type EventPath, eventPath } from '../../../tools/events/event-path.ts'
import { text } from '../../components.ts'
import { ConsoleError } from '../../console-error.ts'
import type { ConsoleContext, ConsolePage } from '../../context.ts'
import { field } from '../../form-fields.ts'
import { html } from '../../html.ts'
import { sendPage } from '../../layout.ts'
import { untilGone } from '../../until-gone.ts'
import { eventView } from './event-view.ts'
import { EVENTS_PATH } from './list-view.ts'

/** A search by id ends after so long. A position is found at once. */
const BUDGET_MS = 2000

/** One event: what it contains, and what each consumer did with it. */
export const eventPage: ConsolePage = (app, context) => {
  app.get<{ Params: { '*': string } }>(
    `${EVENTS_PATH}/*`,
    { config: { access: 'viewer' } },
    async (request, reply) => {
      const name = request.params['*']
      const paths = await findPaths(context, name, untilGone(reply))
      const [path] = paths
      if (path === undefined) throw notFound(name, context)
      const sentTo = path.consumers.find(({ consumer }) => consumer === field(request.query, 'sent'))
      return sendPage(
        request,
        reply,
        { title: `Event ${path.id}`, current: EVENTS_PATH },
        html`${sentTo === undefined ? undefined : html`<p class="done" role="status">${text(sentTo.consumer)} gets the event again. Reload this page to see its state.</p>`}
${eventView(request, path, paths, context.now())}`
      )
    }
  )
}

/** @param signal ends the search */
export function findPaths(
  { redis, config }: Pick<ConsoleContext, 'redis' | 'config'>,
  name: string,
  signal: AbortSignal
): Promise<readonly EventPath[]> {
  const { keyPrefix, windowMs } = config.log
  const { consumers } = config.dispatch
  const options = { redis, keyPrefix, dedupeWindowMs: windowMs, consumers }
  return eventPath(options, name, { signal, budgetMs: BUDGET_MS })
}

export function notFound(name: string, { config }: Pick<ConsoleContext, 'config'>): ConsoleError {
  const retention = formatDuration(config.log.retentionMs)
  const where = isPosition(name) ? 'at this position' : 'with this id'
  return new ConsoleError(
    404,
    'No such event',
    `No event ${where} was found in the log or among the dead letters. Events older than ${retention} are deleted once every consumer has acknowledged them. In a long log, an id is searched for ${BUDGET_MS / 1000} s only: search for it on the page Events, which can be continued.`
  )
}
