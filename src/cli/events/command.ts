import { setTimeout as sleep } from 'node:timers/promises'
import { replayRange } from '../../dispatch/replay.ts'
import { compileTypeGlobs, type TypeMatcher } from '../../event-types.ts'
import { newestEntries } from '../../log/newest-entries.ts'
import { readPartitionCount } from '../../log/partition-count.ts'
import { readEntries, type StreamEntry } from '../../log/read-range.ts'
import { type Command, EXIT, type ExitCode, parseCommandLine, UsageError } from '../command.ts'
import { idOf, timeOf } from '../consumers/report.ts'
import { type OpenLog, openLog } from '../open-log.ts'
import { parseMoment } from '../parse-time.ts'

const usage = `usage: cio-webhook events [options]
       cio-webhook events replay CONSUMER --from TIME [--to TIME] [options]

Shows the newest events of the log, oldest first, or lets one consumer have a stretch of them again. Events are as
consumers get them: without personal data. Configured by the environment, as for serve.

  --type GLOB     only events of this <object_type>.<metric>, such as email.* (may be given several times)
  --id ID         only the event with this id (may be given several times)
  --count N       how many to show (default 10)
  --from TIME     from when on, by the time of receipt: 2026-11-24T10:00:00Z, or 90s, 30m, 12h, 7d ago
  --to TIME       until when (default now)
  --follow        go on with what comes, until Ctrl-C
  --json          one JSON object a line: partition, entry, event

Exit code: 0 good, 1 nothing was found, 2 could not run.`

export const eventsCommand: Command = {
  summary: 'show the event log, replay a stretch of it',
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
  if (action !== undefined && action !== 'replay') throw new UsageError('the one action is replay')
  if (action === 'replay' && (consumer === undefined || rest.length > 0)) {
    throw new UsageError('replay: give one CONSUMER')
  }
  if (action === 'replay' && values.from === undefined) throw new UsageError('replay: --from is missing')
  if (action === 'replay' && values.follow) throw new UsageError('replay knows no --follow')
  const count = Number(values.count)
  if (!Number.isSafeInteger(count) || count < 1) throw new UsageError('--count takes a whole number from 1')
  const range = {
    from: values.from === undefined ? '-' : String(parseMoment('--from', values.from, nowMs)),
    to: values.to === undefined ? '+' : String(parseMoment('--to', values.to, nowMs))
  }
  const { follow, json } = values
  return { consumer, count, range, follow, json, isMeant: filter(values.type, values.id) }
}

function filter(types: readonly string[] | undefined, ids: readonly string[] | undefined) {
  const matches = matcher(types)
  const wanted = ids && new Set<string | undefined>(ids)
  return (entry: StreamEntry): boolean =>
    matches(entry.type) && (wanted === undefined || wanted.has(idOf(entry.event)))
}

function matcher(types: readonly string[] | undefined): TypeMatcher {
  try {
    return compileTypeGlobs(types)
  } catch (error) {
    throw new UsageError(error instanceof Error ? `--type: ${error.message}` : '--type')
  }
}

async function tail({ range, count, isMeant, follow, json }: Options, log: OpenLog): Promise<ExitCode> {
  const { redis, config } = log
  const { keyPrefix } = config.log
  const partitions = await readPartitionCount(redis, keyPrefix)
  const { entries, ends } = await newestEntries(redis, keyPrefix, { partitions, count, isMeant, ...range })
  for (const entry of entries) show(entry, json)
  if (!follow) return entries.length > 0 ? EXIT.good : EXIT.foundSomething

  const enough = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => enough.abort())
  while (!enough.signal.aborted) {
    for (const [partition, end] of ends.entries()) {
      const from = `(${end}`
      for await (const page of readEntries(redis, keyPrefix, {
        stream: 'events',
        partition,
        from,
        to: '+'
      })) {
        for (const entry of page) if (isMeant(entry)) show(entry, json)
        ends[partition] = page.at(-1)?.id ?? end
      }
    }
    await sleep(FOLLOW_POLL_MS, undefined, { signal: enough.signal }).catch(() => {})
  }
  return EXIT.good
}

async function replay({ consumer = '', range, isMeant, json }: Options, log: OpenLog): Promise<ExitCode> {
  const { redis, config } = log
  const { keyPrefix } = config.log
  try {
    const replayed = await replayRange({ redis, keyPrefix, consumer }, range, isMeant)
    process.stdout.write(json ? `${JSON.stringify({ replayed })}\n` : `${replayed} replayed to ${consumer}\n`)
    return replayed > 0 ? EXIT.good : EXIT.foundSomething
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOGROUP'))) throw error
    throw new UsageError(`no consumer group ${JSON.stringify(consumer)} reads the log`)
  }
}

function show({ partition, id, type, event }: StreamEntry, json: boolean): void {
  if (json) {
    // As it stands in the log: parsed and written anew, long numbers would lose digits.
    const text = isJson(event) ? event : JSON.stringify(event)
    process.stdout.write(`{"partition":${partition},"entry":"${id}","event":${text}}\n`)
    return
  }
  const name = type.replace(/^io\.customer\./, '').padEnd(24)
  process.stdout.write(`${timeOf(id)}  ${partition}-${id}  ${name}  ${oneLine(idOf(event) ?? '-')}\n`)
}

/** Nothing in it can move a terminal's cursor. */
const oneLine = (text: string): string => text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
