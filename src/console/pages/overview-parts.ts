// Tested by test/console/pages/overview.slow.test.ts.
import { counted } from '../../counted.ts'
import type { DeliveryStats } from '../../receive/delivery-stats.ts'
import { publishedAddresses } from '../../receive/published-addresses.ts'
import { memoryUsageRatio } from '../../redis/memory.ts'
import { serverName } from '../../redis/server-facts.ts'
import { age, duration, facts, figure, number, pill, table } from '../components.ts'
import { type Html, html } from '../html.ts'
import type { ConsoleStatus } from '../status.ts'
import { statePill } from './consumer-state.ts'
import { authenticOf } from './deliveries.ts'

/** @param hour `undefined` if Redis does not answer: the figures are then not known */
export function figures(status: ConsoleStatus, hour: DeliveryStats | undefined): Html {
  const { redis, partitions, parked } = status
  const events = partitions.reduce((sum, partition) => sum + partition.events, 0)
  const isUp = redis.state === 'up'
  const outcomes = hour?.outcomes ?? {}
  const minutes = hour?.rows.length ?? 0
  // The minute in progress is not complete.
  const lastMinute = hour?.rows[minutes - 2]?.outcomes ?? {}
  const { durationMs, eventAgeSeconds } = hour ?? {}
  return html`<dl class="figures">
${figure('Deliveries in the last hour', number(hour && authenticOf(outcomes)), `${number(hour && authenticOf(lastMinute))} in the last whole minute`)}
${figure('Answered with 503', number(hour && (outcomes.unavailable ?? 0)), 'in the last hour')}
${figure('Answered in', durationMs === undefined ? '–' : shortTime(durationMs.p50), durationMs === undefined ? 'p50' : `p50; p99 ${shortTime(durationMs.p99)}`)}
${figure('Age of events on arrival', eventAgeSeconds === undefined ? '–' : duration(eventAgeSeconds.p50 * 1000), eventAgeSeconds === undefined ? 'p50' : `p50; p99 ${duration(eventAgeSeconds.p99 * 1000)}`)}
${figure('Events in the log', isUp ? number(events) : '–', counted(partitions.length, 'partition'))}
${figure('Parked deliveries', isUp ? number(parked) : '–')}</dl>`
}

/** Answers take a few milliseconds: with a decimal below ten. */
const shortTime = (ms: number): string => (ms < 10 ? `${ms.toFixed(1)} ms` : duration(ms))

export function redisFacts({ redis }: ConsoleStatus): Html {
  if (redis.state === 'none') return facts([['State', pill('bad', 'none')]])
  if (redis.state === 'down') {
    return facts([
      ['State', pill('bad', 'down')],
      ['Address', html`<code>${redis.address}</code>`],
      ['Cause', redis.cause]
    ])
  }
  const { address, server, memory, latencyMs } = redis
  return facts([
    ['State', pill('good', 'up')],
    ['Address', html`<code>${address}</code>`],
    ['Server', serverName(server)],
    ['Persistence', html`<code>${server.persistence}</code>`],
    [
      'Memory',
      memory === undefined
        ? 'without a limit (maxmemory is not set)'
        : `${Math.round(memoryUsageRatio(memory) * 100)} % of ${number(Math.round(memory.maxBytes / 1024 / 1024))} MiB`
    ],
    ['Answers in', shortTime(latencyMs)]
  ])
}

export const partitions = ({ partitions, atMs, settings }: ConsoleStatus): Html =>
  table(
    'Partitions of the log',
    [
      { title: 'Partition', cell: ({ partition }) => partition },
      { title: 'Events', isNumber: true, cell: ({ events }) => number(events) },
      {
        title: 'Full',
        isNumber: true,
        cell: ({ events }) => `${Math.round((events / settings.maxLength) * 100)} %`
      },
      { title: 'Oldest', isNumber: true, cell: ({ oldestAtMs }) => age(oldestAtMs, atMs) },
      { title: 'Newest', isNumber: true, cell: ({ newestAtMs }) => age(newestAtMs, atMs) }
    ],
    partitions,
    html`<p>The log has no partition yet.</p>`
  )

export function keysInUse({ sources, atMs, redis }: ConsoleStatus): Html {
  const signed = (count = 0): string => number(redis.state === 'up' ? count : undefined)
  return table(
    'Signing keys in use',
    [
      { title: 'Source', cell: ({ name }) => html`<a href="/sources#source-${name}">${name}</a>` },
      { title: 'Current key', cell: ({ currentKey }) => keyId(currentKey) },
      { title: 'Signed in 24 h', isNumber: true, cell: ({ lastDay }) => signed(lastDay.keys.current) },
      { title: 'Previous key', cell: ({ previousKey }) => keyId(previousKey) },
      { title: 'Signed in 24 h', isNumber: true, cell: ({ lastDay }) => signed(lastDay.keys.previous) },
      { title: 'Last delivery', isNumber: true, cell: ({ last }) => age(last?.atMs, atMs) }
    ],
    sources,
    html`<p>No source is configured.</p>`
  )
}

const keyId = (id: string | undefined): Html | string => (id === undefined ? '–' : html`<code>${id}</code>`)

export const consumers = ({ consumers, redis }: ConsoleStatus): Html =>
  table(
    'Consumers and how far they are',
    [
      {
        title: 'Name',
        cell: ({ name }) => html`<a href="/consumers/${encodeURIComponent(name)}">${name}</a>`
      },
      { title: 'Type', cell: ({ type }) => type },
      {
        title: 'State',
        cell: ({ state }) => statePill(state)
      },
      { title: 'Lag', isNumber: true, cell: ({ lag }) => number(lag) },
      { title: 'Pending', isNumber: true, cell: ({ pending, queued }) => number(pending + queued) },
      {
        title: 'Oldest',
        isNumber: true,
        cell: ({ oldestAgeMs }) => (oldestAgeMs === undefined ? '–' : duration(oldestAgeMs))
      },
      { title: 'Dead letters', isNumber: true, cell: ({ dead }) => number(dead) }
    ],
    consumers,
    redis.state === 'down'
      ? html`<p>Not known while Redis is down.</p>`
      : html`<p>No consumer reads the log yet.</p><p>Add a push consumer with <code>CONSUMERS_FILE</code>, or read with the library.</p>`
  )

export const replicas = ({ replicas, redis }: ConsoleStatus): Html =>
  table(
    'Running replicas',
    [
      { title: 'Replica', cell: ({ name }) => html`<code>${name}</code>` },
      { title: 'Version', cell: ({ version }) => version ?? 'an older version' },
      {
        title: 'Keys that it accepts',
        cell: ({ keys }) =>
          Object.entries(keys).map(
            ([source, ids], index) =>
              html`${index > 0 ? ', ' : undefined}${source}: <code>${ids.join(', ')}</code>`
          )
      }
    ],
    replicas,
    html`<p>${redis.state === 'down' ? 'Not known while Redis is down.' : 'No replica has reported yet: they do so every five seconds.'}</p>`
  )

/** Where the list of Customer.io's addresses comes from, and its age. */
export function published({ publishedAddresses: list, redis, atMs, settings }: ConsoleStatus): Html {
  const origin =
    list !== undefined
      ? html`The list of Customer.io, ${number(list.count)} addresses, read ${age(list.atMs, atMs)}.`
      : redis.state === 'down'
        ? 'Not known while Redis is down.'
        : `The built-in list of ${number(publishedAddresses.length)} addresses: CIO_APP_API_KEY is not set, or Customer.io has not returned a list yet (the log has the cause).`
  const policy =
    settings.addressPolicy === 'enforce'
      ? 'Deliveries from other addresses get 403.'
      : 'Deliveries from other addresses are accepted and counted (CIO_IP_POLICY is report).'
  return html`<p>${origin} ${policy}</p>`
}

/** `published`, and the addresses. @param allowed as in CIO_ALLOWED_IPS; `undefined` for the published list */
export function publishedList(status: ConsoleStatus, allowed: '*' | readonly string[] | undefined): Html {
  const addresses = status.publishedAddresses?.addresses ?? publishedAddresses
  const own =
    allowed === undefined
      ? 'CIO_ALLOWED_IPS is not set: the published addresses may deliver.'
      : allowed === '*'
        ? 'CIO_ALLOWED_IPS is *: any address may deliver.'
        : `CIO_ALLOWED_IPS is set: only ${allowed.join(', ')} may deliver.`
  return html`${published(status)}<p>${own}</p>
<details><summary>Published addresses</summary><ul class="columns">${addresses.map(address => html`<li><code>${address}</code></li>`)}</ul></details>`
}
