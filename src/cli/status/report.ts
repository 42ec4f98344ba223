// Tested by test/cli/status/command.slow.test.ts.
import { counted } from '../../counted.ts'
import { formatDuration } from '../../duration.ts'
import { memoryUsageRatio } from '../../redis/memory.ts'
import { serverName } from '../../redis/server-facts.ts'
import type {
  PartitionStatus,
  Problem,
  RedisStatus,
  SourceStatus,
  StatusReport
} from '../../tools/status/facts.ts'
import { table } from '../table.ts'
import { paint, type TerminalStyle, terminalSafe, wrap } from '../terminal.ts'

/** The report on one screen: problems first. */
export function statusText(status: StatusReport, style: TerminalStyle): string {
  const { configuration, redis, atMs, problems } = status
  const sections: readonly (readonly [title: string, text: string])[] = [
    ['Redis', `${redisText(redis)}\n`],
    ['Sources (last hour)', sourcesText(status.sources, atMs)],
    ['Deliveries (last hour)', deliveriesText(status.deliveries)],
    ['Reporting webhooks at Customer.io', webhooksText(status.webhooks)],
    ['Log', logText(status.partitions, atMs)],
    ['Consumers', consumersText(status.consumers)],
    ['Parked deliveries', redis.state === 'up' ? `${status.parked}\n` : ''],
    ['Replicas', replicasText(status.replicas)],
    ['Published source addresses', publishedText(status)],
    [
      'Configuration that differs from the defaults',
      configuration.changed.map(({ name, value }) => `${name}=${terminalSafe(value)}\n`).join('')
    ],
    ['Secrets', configuration.secrets.map(secretText).join('')]
  ]
  return [
    `cio-webhook ${status.version}${status.production ? ', production' : ''}: ${headline(problems)}\n`,
    ...problems.map(problem => problemText(problem, style)),
    ...sections
      .filter(([, text]) => text !== '')
      .map(([title, text]) => `\n${paint(style, 'bold', title)}\n${indent(text)}`)
  ].join('')
}

function headline(problems: readonly Problem[]): string {
  if (problems.length === 0) return 'no problems'
  const ids = [...new Set(problems.map(({ id }) => id))]
  return `${counted(problems.length, 'problem')} (docs/runbook.md: ${ids.join(', ')})`
}

function problemText({ severity, summary, consequence, fix }: Problem, style: TerminalStyle): string {
  const [first = '', ...rest] = wrap(summary, style.width - 10)
  const more = [...rest, ...wrap(consequence, style.width - 10), ...wrap(`Fix: ${fix}`, style.width - 10)]
  const label = severity === 'error' ? paint(style, 'red', 'ERROR  ') : paint(style, 'yellow', 'WARNING')
  return `\n${label}  ${first}\n${more.map(line => `         ${line}\n`).join('')}`
}

function redisText(redis: RedisStatus): string {
  if (redis.state === 'none') return 'none'
  if (redis.state === 'down') return `${redis.address}: down`
  const { address, server, memory, latencyMs } = redis
  const used =
    memory === undefined
      ? 'no maxmemory'
      : `${Math.round(memoryUsageRatio(memory) * 100)} % of ${Math.round(memory.maxBytes / 1024 / 1024)} MiB used`
  return `${address}: ${serverName(server)}, persistence ${server.persistence}, ${used}, answers in ${round(latencyMs)} ms`
}

function sourcesText(sources: readonly SourceStatus[], atMs: number): string {
  return table(sources, [
    { heading: 'SOURCE', value: ({ name }) => name },
    { heading: 'DELIVERIES', value: ({ lastHour }) => countsText(lastHour.outcomes) },
    { heading: 'KEYS', value: ({ lastHour }) => countsText(lastHour.keys) },
    { heading: 'LAST', value: ({ last }) => ago(last?.atMs, atMs) },
    {
      heading: 'DELAY',
      value: ({ last }) =>
        last?.ageSeconds === undefined ? undefined : formatDuration(last.ageSeconds * 1000)
    }
  ])
}

function webhooksText(webhooks: StatusReport['webhooks']): string {
  if (webhooks.length === 0) return ''
  return table(webhooks, [
    { heading: 'SOURCE', value: ({ source }) => source },
    { heading: 'WEBHOOK', value: ({ webhook }) => webhook },
    { heading: 'STATE', value: ({ state }) => state },
    { heading: 'ENDPOINT', value: ({ endpoint }) => endpoint }
  ])
}

function deliveriesText({ durationMs, eventAgeSeconds }: StatusReport['deliveries']): string {
  if (durationMs === undefined) return ''
  const age =
    eventAgeSeconds === undefined
      ? ''
      : `; events ${round(eventAgeSeconds.p50)} s old (p50), ${round(eventAgeSeconds.p99)} s (p99)`
  return `answered in ${round(durationMs.p50)} ms (p50), ${round(durationMs.p99)} ms (p99)${age}\n`
}

function logText(partitions: readonly PartitionStatus[], atMs: number): string {
  if (partitions.length === 0) return ''
  return table(partitions, [
    { heading: 'PARTITION', value: ({ partition }) => partition },
    { heading: 'EVENTS', value: ({ events }) => events },
    { heading: 'OLDEST', value: ({ oldestAtMs }) => ago(oldestAtMs, atMs) },
    { heading: 'NEWEST', value: ({ newestAtMs }) => ago(newestAtMs, atMs) }
  ])
}

function consumersText(consumers: StatusReport['consumers']): string {
  if (consumers.length === 0) return ''
  return table(consumers, [
    { heading: 'CONSUMER', value: ({ name }) => name },
    { heading: 'TYPE', value: ({ type }) => type },
    { heading: 'STATE', value: ({ state }) => state },
    { heading: 'LAG', value: ({ lag }) => lag ?? '?' },
    {
      heading: 'OLDEST',
      value: ({ oldestAgeMs }) => (oldestAgeMs === undefined ? undefined : formatDuration(oldestAgeMs))
    },
    { heading: 'DEAD', value: ({ dead }) => dead }
  ])
}

function replicasText(replicas: StatusReport['replicas']): string {
  if (replicas.length === 0) return ''
  return table(replicas, [
    { heading: 'REPLICA', value: ({ name }) => name },
    { heading: 'VERSION', value: ({ version }) => version },
    {
      heading: 'KEYS',
      value: ({ keys }) =>
        Object.entries(keys)
          .map(([source, ids]) => `${source}: ${ids.join(', ')}`)
          .join('; ')
    }
  ])
}

function publishedText({ publishedAddresses, redis, atMs }: StatusReport): string {
  if (publishedAddresses !== undefined) {
    return `${counted(publishedAddresses.count, 'address', 'addresses')}, from Customer.io ${ago(publishedAddresses.atMs, atMs)}\n`
  }
  return redis.state === 'up'
    ? 'the built-in list: CIO_APP_API_KEY is not set, or Customer.io has not returned a list yet (the log has the cause)\n'
    : ''
}

function secretText({
  name,
  place,
  current,
  previous,
  problem
}: StatusReport['configuration']['secrets'][number]): string {
  const ids = [current && `current ${current}`, previous && `previous ${previous}`].filter(Boolean)
  const shown = ids.length === 0 ? '' : ` (${ids.join(', ')})`
  return `${name}${shown}: from ${terminalSafe(place)}${problem === undefined ? '' : `; cannot be read: ${terminalSafe(problem)}`}\n`
}

const ago = (timeMs: number | undefined, nowMs: number): string | undefined =>
  timeMs === undefined ? undefined : `${formatDuration(Math.max(0, nowMs - timeMs))} ago`

const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ')

const round = (value: number): number => Number(value.toPrecision(2))
