// Tested by test/console/pages/consumers.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { counted } from '../../../counted.ts'
import { isEntryId } from '../../../log/position.ts'
import { type BulkActions, lettersOf } from '../../../tools/bulk/bulk-actions.ts'
import type { LetterChoice } from '../../../tools/consumers/choose-letters.ts'
import { recordChange } from '../../audit.ts'
import { confirmation } from '../../components.ts'
import { ConsoleError } from '../../console-error.ts'
import type { ConsoleContext } from '../../context.ts'
import { field, fields } from '../../form-fields.ts'
import { html } from '../../html.ts'
import { sendPage } from '../../layout.ts'
import { bulkView } from '../bulk/bulk-view.ts'
import { unlessRefused } from '../refusal.ts'
import type { NameRoute } from './consumer-page.ts'
import { isFiltered, type LetterQuery, letterFilter, letterSearch, readLetterQuery } from './letter-query.ts'
import { letterView } from './letter-view.ts'
import { lettersView } from './letters-view.ts'
import { CONSUMERS_PATH } from './list-page.ts'
import { consumerPath } from './list-view.ts'
import type { ConsumerActions } from './open-actions.ts'
import { reasonCounts } from './reason-counts.ts'

const PATH = `${CONSUMERS_PATH}/:name/dead-letters`
/** Ids that an audit record names. */
const MAX_NAMED = 5

interface LetterRoute {
  Params: { name: string; letter: string }
}

/** What a form asks for: an action on chosen dead letters. */
interface LetterAction {
  readonly action: 'replay' | 'drop'
  /** `undefined`: all that match. */
  readonly ids: readonly string[] | undefined
  readonly query: LetterQuery
  readonly isConfirmed: boolean
}

/** The dead letters of a consumer: pages of them, one of them, and replay and drop. */
export function deadLetterRoutes(
  app: FastifyInstance,
  { now, audit }: ConsoleContext,
  actions: ConsumerActions,
  bulk: BulkActions
): void {
  const viewer = { config: { access: 'viewer' } } as const
  const countReasons = reasonCounts(actions)

  app.get<NameRoute>(PATH, viewer, async (request, reply) => {
    const { name } = request.params
    const query = readLetterQuery(request.query)
    const asked = field(request.query, 'after')
    const after = asked !== undefined && isEntryId(asked) ? asked : undefined
    const page = await unlessRefused(actions.letterPage(name, { ...letterFilter(query), after }))
    const total = await actions.countLetters(name)
    const [reasons, state] = await Promise.all([countReasons(name, total), bulk.read(lettersOf(name))])
    const body = html`${bulkView(request, state, consumerPath(name, '/progress'), now())}
${lettersView({ request, name, query, after, page, total, reasons })}`
    return sendPage(request, reply, { title: `Dead letters of ${name}`, current: CONSUMERS_PATH }, body)
  })

  app.get<LetterRoute>(`${PATH}/:letter`, viewer, async (request, reply) => {
    const { name } = request.params
    const letter = await unlessRefused(actions.deadLetter(name, request.params.letter))
    const page = { title: `Dead letter of ${name}`, current: CONSUMERS_PATH } as const
    return sendPage(request, reply, page, letterView(request, name, letter, now()))
  })

  app.post<NameRoute>(PATH, { config: { access: 'operator' } }, async (request, reply) => {
    const { name } = request.params
    const asked = readAction(request)
    const total = await countOf(name, asked)
    if (!asked.isConfirmed && (asked.action === 'drop' || asked.ids === undefined)) {
      const page = { title: 'Are you sure?', current: CONSUMERS_PATH } as const
      return sendPage(request, reply, page, question(request, name, asked, total))
    }
    const { action, ids, query } = asked
    const choice: LetterChoice = ids ?? letterFilter(query)
    const about = { action, who: request.person?.name ?? '-', total }
    await unlessRefused(
      bulk.start(lettersOf(name), about, options =>
        action === 'drop' ? actions.drop(name, choice, options) : actions.replay(name, choice, options)
      )
    )
    const which = ids === undefined ? (isFiltered(query) ? letterSearch(query) : 'all') : named(ids)
    const record = action === 'replay' ? 'dead_letters_replayed' : 'dead_letters_dropped'
    await recordChange(audit, request, record, `${name}: ${which}`)
    return reply.redirect(consumerPath(name, `/dead-letters${letterSearch(query)}`), 303)
  })

  async function countOf(name: string, { ids, query }: LetterAction) {
    return unlessRefused(actions.countLetters(name, ids ?? letterFilter(query)))
  }
}

const named = (ids: readonly string[]): string =>
  ids.length <= MAX_NAMED ? ids.join(', ') : `${ids.slice(0, MAX_NAMED).join(', ')}, … (${ids.length})`

/** @throws ConsoleError for a form that chooses nothing */
function readAction({ body }: FastifyRequest): LetterAction {
  const [action, scope] = (field(body, 'action') ?? '').split(' ')
  if (action !== 'replay' && action !== 'drop')
    throw new ConsoleError(400, 'Nothing done', 'Choose an action.')
  // A confirmation sends them in one field.
  const ids = fields(body, 'id').flatMap(id => id.split(','))
  if (scope !== 'matching' && ids.length === 0) {
    throw new ConsoleError(400, 'Nothing done', 'Choose at least one dead letter.')
  }
  return {
    action,
    ids: scope === 'matching' ? undefined : ids,
    query: readLetterQuery(body),
    isConfirmed: field(body, 'confirmed') === 'yes'
  }
}

function question(
  request: FastifyRequest,
  name: string,
  { action, ids, query }: LetterAction,
  count: number
) {
  const shown = counted(count, 'dead letter')
  const verb = action === 'replay' ? 'Replay' : 'Drop'
  const consequence =
    action === 'replay'
      ? `${name} gets these events again, with the same ids. Accepted events are removed from the dead letters; events that fail again become new ones. This takes some time, and can be interrupted.`
      : 'They are deleted for good. The events are lost for this consumer once they have left the log.'
  const scope = ids === undefined ? 'matching' : 'selected'
  return confirmation(request, {
    question: `${verb} ${shown} of ${name}?`,
    consequence,
    action: consumerPath(name, '/dead-letters'),
    fields: { action: `${action} ${scope}`, confirmed: 'yes', id: ids?.join(',') ?? '', ...query },
    confirm: `${verb} ${shown}`,
    back: consumerPath(name, `/dead-letters${letterSearch(query)}`)
  })
}
