// Tested by test/cli/status/command.slow.test.ts.
import { counted } from '../../counted.ts'
import { formatDuration } from '../../duration.ts'
import { memoryUsageRatio } from '../../redis/memory.ts'
import type { Problem, RedisStatus, SourceStatus, StatusReport } from '../../tools/status/facts.ts'
import { table } from '../table.ts'
import { paint, type TerminalStyle, terminalSafe, wrap } from '../terminal.ts'

/** The report on one screen: problems first. */
export function statusText(status: StatusReport, style: TerminalStyle): string {
  const { configuration, redis, partitions, consumers, replicas, atMs } = status
  const ago = (timeMs: number | undefined): string | undefined =>
    timeMs === undefined ? undefined : `${formatDuration(Math.max(0, atMs - timeMs))} ago`
  const section = (title: string, text: string): string =>
    text === '' ? '' : `\n${paint(style, 'bold', title)}\n${indent(text)}`
  const deliveries = status.deliveries
  return [
    `cio-webhook ${status.version}${status.production ? ', production' : ''}: ${headline(status.problems)}\n`,
    status.problems.map(problem => problemText(problem, style)).join(''),
    section('Redis', `${redisText(redis)}\n`),
    section('Sources (last hour)', sourcesText(status.sources, ago)),
    section(
      'Deliveries (last hour)',
      deliveries.durationMs === undefined
        ? ''
        : `answered in ${round(deliveries.durationMs.p50)} ms (p50), ${round(deliveries.durationMs.p99)} ms (p99)${deliveries.eventAgeSeconds === undefined ? '' : `; events ${round(deliveries.eventAgeSeconds.p50)} s old (p50), ${round(deliveries.eventAgeSeconds.p99)} s (p99)`}\n`
    ),
    section(
      'Log',
      partitions.length === 0
        ? ''
        : table(partitions, [
            { heading: 'PARTITION', value: ({ partition }) => partition },
            { heading: 'EVENTS', value: ({ events }) => events },
            { heading: 'OLDEST', value: ({ oldestAtMs }) => ago(oldestAtMs) },
            { heading: 'NEWEST', value: ({ newestAtMs }) => ago(newestAtMs) }
          ])
    ),
    section(
      'Consumers',
      consumers.length === 0
        ? ''
        : table(consumers, [
            { heading: 'CONSUMER', value: ({ name }) => name },
            { heading: 'TYPE', value: ({ type }) => type },
            { heading: 'STATE', value: ({ state }) => state },
            { heading: 'LAG', value: ({ lag }) => lag ?? '?' },
            {
              heading: 'OLDEST',
              value: ({ oldestAgeMs }) =>
                oldestAgeMs === undefined ? undefined : formatDuration(oldestAgeMs)
            },
            { heading: 'DEAD', value: ({ dead }) => dead }
          ])
    ),
    section('Parked deliveries', redis.state === 'up' ? `${status.parked}\n` : ''),
    section(
      'Replicas',
      replicas.length === 0
        ? ''
        : table(replicas, [
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
    ),
    section(
      'Published source addresses',
      status.publishedAddresses === undefined
        ? redis.state === 'up'
          ? 'the built-in list (with CIO_APP_API_KEY, the list is kept up to date)\n'
          : ''
        : `${counted(status.publishedAddresses.count, 'address', 'addresses')}, from Customer.io ${ago(status.publishedAddresses.atMs)}\n`
    ),
    section(
      'Configuration that differs from the defaults',
      configuration.changed.map(({ name, value }) => `${name}=${terminalSafe(value)}\n`).join('')
    ),
    section(
      'Secrets',
      configuration.secrets
        .map(({ name, place, current, previous, problem }) => {
          const ids = [current && `current ${current}`, previous && `previous ${previous}`].filter(Boolean)
          const shown = ids.length === 0 ? '' : ` (${ids.join(', ')})`
          return `${name}${shown}: from ${terminalSafe(place)}${problem === undefined ? '' : `; cannot be read: ${terminalSafe(problem)}`}\n`
        })
        .join('')
    )
  ].join('')
}

function headline(problems: readonly Problem[]): string {
  if (problems.length === 0) return 'no problems'
  return counted(problems.length, 'problem')
}

function problemText({ severity, summary, consequence, fix }: Problem, style: TerminalStyle): string {
  const [first = '', ...rest] = wrap(summary, style.width - 10)
  const more = [...rest, ...wrap(consequence, style.width - 10), ...wrap(`Fix: ${fix}`, style.width - 10)]
  const label = severity === 'error' ? paint(style, 'red', 'ERROR  ') : paint(style, 'yellow', 'WARNING')
  return `\n${label}  ${first}\n${more.map(line => `         ${line}\n`).join('')}`
}

function redisText(redis: RedisStatus): string {
  if (redis.state === 'down') return `${redis.address}: down`
  const { address, server, memory, latencyMs } = redis
  const used =
    memory === undefined
      ? 'no maxmemory'
      : `${Math.round(memoryUsageRatio(memory) * 100)} % of ${Math.round(memory.maxBytes / 1024 / 1024)} MiB used`
  return `${address}: Redis ${server.version}, persistence ${server.persistence}, ${used}, answers in ${round(latencyMs)} ms`
}

function sourcesText(
  sources: readonly SourceStatus[],
  ago: (timeMs: number | undefined) => string | undefined
): string {
  return table(sources, [
    { heading: 'SOURCE', value: ({ name }) => name },
    { heading: 'DELIVERIES', value: ({ lastHour }) => countsText(lastHour.outcomes) },
    { heading: 'KEYS', value: ({ lastHour }) => countsText(lastHour.keys) },
    { heading: 'LAST', value: ({ last }) => ago(last?.atMs) },
    {
      heading: 'DELAY',
      value: ({ last }) =>
        last?.ageSeconds === undefined ? undefined : formatDuration(last.ageSeconds * 1000)
    }
  ])
}

const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ')

const round = (value: number): number => Number(value.toPrecision(2))
