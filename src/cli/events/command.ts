// Tested by test/cli/consumers/command.slow.test.ts.
import { pause } from '../../async/backoff.ts'
import { replayRange } from '../../dispatch/replay.ts'
import { compileTypeGlobs, eventName, type TypeMatcher } from '../../event-types.ts'
import { stringifyExactly } from '../../exact-json.ts'
import { readPartitionCount } from '../../log/partition.ts'
import { newestEntries, readEntries, type StreamEntry } from '../../log/read-range.ts'
import { integer } from '../../settings/parse.ts'
import { ofExistingGroup } from '../../tools/consumers/find-consumer.ts'
import {
  type Command,
  EXIT,
  type ExitCode,
  MAX_COUNT,
  parseCommandLine,
  readOption,
  UsageError
} from '../command.ts'
import { eventId, eventJson, timeOf } from '../consumers/report.ts'
import { type OpenLog, openLog } from '../open-log.ts'
import { parseTime } from '../parse-time.ts'
import { terminalSafe } from '../terminal.ts'

const usage = `usage: cio-webhook events [options]
       cio-webhook events replay CONSUMER --from TIME [--to TIME] [options]

Shows the newest events of the log, oldest first, or gives one consumer a time range of them again. Events are shown as
consumers get them: without personal data. Configured by the environment, like serve.

  --type GLOB     only events of this <object_type>.<metric>, such as email.* (can be repeated)
  --id ID         only the event with this id (can be repeated)
  --count N       show at most N (default 10)
  --from TIME     only events received since then: 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d
  --to TIME       only events received until then (default now)
  --follow        continue with new events, until Ctrl-C
  --json          print one JSON object per line: partition, entry, event

Exit code: 0 ok, 1 no event was found, 2 could not run.`

export const eventsCommand: Command = {
  summary: 'show and follow the event log, replay a part of it',
  usage,
  run: async (args, env) => {
    const options = readOptions(args, Date.now())
    const log = await openLog(env)
    try {
      return await (options.consumer === undefined ? tail(options, log) : replay(options, log))
    } finally {
      log.close()
    }
  }
}

type Options = ReturnType<typeof readOptions>

const FOLLOW_POLL_MS = 300

function readOptions(args: readonly string[], nowMs: number) {
  const { values, positionals } = parseCommandLine({
    args: [...args],
    allowPositionals: true,
    options: {
      type: { type: 'string', multiple: true },
      id: { type: 'string', multiple: true },
      count: { type: 'string', default: '10' },
      from: { type: 'string' },
      to: { type: 'string' },
      follow: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false }
    }
  })
  const [action, consumer, ...rest] = positionals
  if (action !== undefined) {
    if (action !== 'replay') {
      throw new UsageError(`unknown action ${JSON.stringify(action)}; the only action is 'replay'`)
    }
    if (consumer === undefined || rest.length > 0) throw new UsageError('replay: give exactly one CONSUMER')
    if (values.from === undefined) throw new UsageError('replay: --from is missing')
    if (values.follow) throw new UsageError('--follow cannot be used with replay')
  }
  const range = {
    from: values.from === undefined ? '-' : String(parseTime('--from', values.from, nowMs)),
    to: values.to === undefined ? '+' : String(parseTime('--to', values.to, nowMs))
  }
  const { follow, json } = values
  const matches = entryFilter(values.type, values.id)
  return {
    consumer,
    count: readOption('--count', integer(1, MAX_COUNT), values.count),
    range,
    follow,
    json,
    matches
  }
}

function entryFilter(types: readonly string[] | undefined, ids: readonly string[] | undefined) {
  const matchesType = compileTypes(types)
  const wanted = ids && new Set<string | undefined>(ids)
  return (entry: StreamEntry): boolean =>
    matchesType(entry.type) && (wanted === undefined || wanted.has(eventId(entry.event)))
}

function compileTypes(types: readonly string[] | undefined): TypeMatcher {
  try {
    return compileTypeGlobs(types)
  } catch (error) {
    throw new UsageError(error instanceof Error ? `--type: ${error.message}` : '--type')
  }
}

async function tail({ range, count, matches, follow, json }: Options, log: OpenLog): Promise<ExitCode> {
  const { redis, config } = log
  const { keyPrefix } = config.log
  const partitions = await readPartitionCount(redis, keyPrefix)
  const newest = { partitions, count, matches, ...range }
  const { entries, ends } = await newestEntries(redis, keyPrefix, newest)
  for (const entry of entries) show(entry, json)
  if (!follow) {
    if (entries.length > 0) return EXIT.ok
    process.stderr.write('cio-webhook events: no event was found\n')
    return EXIT.findings
  }

  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
  while (!stopped.signal.aborted) {
    for (const [partition, end] of ends.entries()) {
      const newer = { stream: 'events', partition, from: `(${end}`, to: '+' } as const
      for await (const page of readEntries(redis, keyPrefix, newer)) {
        for (const entry of page) if (matches(entry)) show(entry, json)
        ends[partition] = page.at(-1)?.id ?? end
      }
    }
    await pause(FOLLOW_POLL_MS, stopped.signal)
  }
  return EXIT.ok
}

async function replay({ consumer = '', range, matches, json }: Options, log: OpenLog): Promise<ExitCode> {
  const { redis, config } = log
  const options = { redis, keyPrefix: config.log.keyPrefix, consumer }
  const { replayed } = await ofExistingGroup(consumer, replayRange(options, range, matches))
  process.stdout.write(json ? `${JSON.stringify({ replayed })}\n` : `${replayed} replayed to ${consumer}\n`)
  return replayed > 0 ? EXIT.ok : EXIT.findings
}

function show({ partition, id, type, event }: StreamEntry, json: boolean): void {
  if (json) {
    process.stdout.write(`${stringifyExactly({ partition, entry: id, event: eventJson(event) })}\n`)
    return
  }
  const name = terminalSafe(eventName(type)).padEnd(24)
  process.stdout.write(`${timeOf(id)}  ${partition}-${id}  ${name}  ${terminalSafe(eventId(event) ?? '-')}\n`)
}
