// Tested by test/console/browser.slow.test.ts.
import { type ConsumerStatus, consumerStatusReader } from '../../dispatch/consumer-status.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import { logStats } from '../../log/stats.ts'
import { duration, figure, number, pill, problem, type Tone, table } from '../components.ts'
import type { ConsoleContext, ConsolePage } from '../context.ts'
import { type Html, html } from '../html.ts'
import { sendPage } from '../layout.ts'

const LIVE_PATH = '/live/overview'

const tones: Readonly<Record<string, Tone>> = {
  ok: 'good',
  failing: 'bad',
  disabled: 'bad',
  no_members: 'warning'
}

/** What works, what does not, and what to do. Its data is read again every two seconds while somebody looks. */
export const overviewPage: ConsolePage = (app, context) => {
  const { redis, config, now } = context
  const { keyPrefix } = config.log
  const readConsumers = consumerStatusReader({ redis, keyPrefix, consumers: config.dispatch.consumers, now })
  const state = (): Promise<Html> => readState(context, readConsumers)

  app.get('/', { config: { access: 'viewer' } }, async (request, reply) =>
    sendPage(
      request,
      reply,
      { title: 'Overview', current: '/' },
      html`<div hx-sse:connect="${LIVE_PATH}" hx-swap="innerHTML">${await state()}</div>`
    )
  )
  context.live.route(LIVE_PATH, 'viewer', state)
}

async function readState(
  { redis, config, isRedisUp }: ConsoleContext,
  readConsumers: () => Promise<readonly ConsumerStatus[]>
): Promise<Html> {
  if (!isRedisUp()) return redisDown
  const { keyPrefix, partitions } = config.log
  const [consumers, parked, log] = await Promise.all([
    readConsumers(),
    parkedDeliveries(redis, keyPrefix).count(),
    logStats(redis, keyPrefix, partitions)
  ])
  const events = log.reduce((sum, partition) => sum + partition.events, 0)
  return html`<dl class="figures">${figure('Redis', pill('good', 'up'))}
${figure('Events in the log', number(events), `${number(partitions)} ${partitions === 1 ? 'partition' : 'partitions'}`)}
${figure('Consumers', number(consumers.length))}
${figure('Parked deliveries', number(parked))}</dl>
<h2>Consumers</h2>
${table(
  'Consumers and how far they are',
  [
    { title: 'Name', cell: ({ name }) => name },
    { title: 'Kind', cell: ({ type }) => type },
    { title: 'State', cell: ({ state }) => pill(tones[state] ?? 'neutral', state.replaceAll('_', ' ')) },
    { title: 'Not read', isNumber: true, cell: ({ lag }) => number(lag) },
    { title: 'Pending', isNumber: true, cell: ({ pending, queued }) => number(pending + queued) },
    {
      title: 'Oldest',
      isNumber: true,
      cell: ({ oldestAgeMs }) => (oldestAgeMs === undefined ? '–' : duration(oldestAgeMs))
    },
    { title: 'Dead letters', isNumber: true, cell: ({ dead }) => number(dead) }
  ],
  consumers,
  html`<p>No consumer reads the log yet.</p><p>Add a push consumer with <code>CONSUMERS_FILE</code>, or read with the library.</p>`
)}`
}

const redisDown = html`<dl class="figures">${figure('Redis', pill('bad', 'down'))}</dl>
${problem(
  'error',
  'Redis does not answer',
  'Deliveries get 503, and Customer.io sends them again. No event is lost while its retries last, 7 days.',
  html`The log of the service names the cause: search it for <code>cannot reach Redis</code>.`
)}`
