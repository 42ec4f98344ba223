// Tested by test/cli/events/command.slow.test.ts and test/cli/events/replay.slow.test.ts.
import { pause } from '../../async/backoff.ts'
import { formatDuration } from '../../duration.ts'
import { stringifyExactly } from '../../exact-json.ts'
import { allPartitionKeys, readPartitionCount } from '../../log/partition.ts'
import { compareIds, readEntries } from '../../log/read-range.ts'
import { consumerActions } from '../../tools/consumers/actions.ts'
import { compileAddressHash } from '../../tools/events/address-hash.ts'
import { compileFilter, type EventFilter } from '../../tools/events/event-filter.ts'
import { pathsJson } from '../../tools/events/event-json.ts'
import { eventPath } from '../../tools/events/event-path.ts'
import { searchEvents } from '../../tools/events/search.ts'
import { sendIdsAgain } from '../../tools/events/send-ids-again.ts'
import type { SearchOptions } from '../../tools/events/walk-log.ts'
import { type Command, EXIT, type ExitCode, UsageError } from '../command.ts'
import { readLines } from '../input.ts'
import { type OpenLog, openLog } from '../open-log.ts'
import { createProgressBar } from '../progress-bar.ts'
import { terminalSafe } from '../terminal.ts'
import { type EventsOptions, eventsUsage, readEventsOptions } from './options.ts'
import { replayedText } from './replay-report.ts'
import { eventLine, nothingFound, pathsText, unknownEvent } from './report.ts'

export const eventsCommand: Command = {
  summary: 'find, show and follow events of the log, replay a part of it',
  usage: eventsUsage,
  run: async (args, env) => {
    const options = readEventsOptions(args, Date.now())
    const { action } = options
    // Without the consumers: a file of theirs that is broken does not keep others from reading the log.
    if (action.name === 'list') {
      const log = await openLog(env, ['loadHashKey'])
      return closing(
        log,
        readFilter(options, log).then(filter => list(options, filter, log))
      )
    }
    const log = await openLog(env, ['dispatch', 'loadHashKey'])
    return closing(
      log,
      action.name === 'show'
        ? show(action.id, options, log)
        : readFilter(options, log).then(filter => replay(action.consumer, options, filter, log))
    )
  }
}

type Log = OpenLog<'loadHashKey'>

const closing = <T>(log: Pick<OpenLog, 'close'>, work: Promise<T>): Promise<T> =>
  work.finally(() => log.close())

const FOLLOW_POLL_MS = 300
const NO_HASH_KEY = 'The address was hashed without PII_HASH_KEY: if the service has one, set it here too'

async function readFilter(options: EventsOptions, { config }: Log): Promise<EventFilter> {
  const { customer, email, ids, types } = options
  if (customer === undefined && email === undefined) return { ids, types }
  const { ofAddress, customerSubjects } = compileAddressHash((await config.loadHashKey())?.reveal())
  const address = email === '-' ? (await readLines(process.stdin))[0] : email
  const hash = address === undefined ? undefined : ofAddress(address)
  // Without the text: it may be an address in another form.
  if (email !== undefined && hash === undefined)
    throw new UsageError('--email: this is not an e-mail address')
  return {
    ids,
    types,
    customers: customer === undefined ? undefined : customerSubjects(customer),
    hashes: hash === undefined ? undefined : [hash]
  }
}

async function list(options: EventsOptions, filter: EventFilter, log: Log): Promise<ExitCode> {
  const { redis, config } = log
  const { keyPrefix } = config.log
  const partitions = allPartitionKeys(keyPrefix, await readPartitionCount(redis, keyPrefix))
  const ends = await Promise.all(
    partitions.map(
      async ({ events }) => (await redis.xrevrange(events, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0-0'
    )
  )
  const { count, fromMs, toMs, follow, json } = options
  const query = { ...filter, fromMs, toMs, count }
  const found = await withProgress(search => searchEvents(searchedLog(log), query, search))
  for (const entry of found.entries.toReversed()) process.stdout.write(eventLine(entry, json))
  if (!follow) {
    if (found.entries.length > 0) return EXIT.ok
    const lacksKey = filter.hashes !== undefined && (await config.loadHashKey()) === undefined
    const hint = lacksKey ? NO_HASH_KEY : undefined
    process.stderr.write(`cio-webhook events: ${nothingFound(found, hint)}\n`)
    return EXIT.findings
  }

  // The search began after the ends were read, so it can have found newer events.
  for (const { partition, id } of found.entries) {
    const end = ends[partition]
    if (end !== undefined && compareIds(id, end) > 0) ends[partition] = id
  }
  const { matches } = compileFilter(filter)
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
  while (!stopped.signal.aborted) {
    for (const [partition, end] of ends.entries()) {
      const newer = { stream: 'events', partition, from: `(${end}`, to: '+' } as const
      for await (const page of readEntries(redis, keyPrefix, newer)) {
        for (const entry of page) if (matches(entry)) process.stdout.write(eventLine(entry, json))
        ends[partition] = page.at(-1)?.id ?? end
      }
    }
    await pause(FOLLOW_POLL_MS, stopped.signal)
  }
  return EXIT.ok
}

async function show(id: string, { json }: EventsOptions, log: OpenLog<'dispatch'>): Promise<ExitCode> {
  const { consumers } = log.config.dispatch
  const paths = await withProgress(search => eventPath({ ...searchedLog(log), consumers }, id, search))
  if (paths.length === 0) {
    const retention = formatDuration(log.config.log.retentionMs)
    process.stderr.write(`cio-webhook events: ${unknownEvent(id, retention)}\n`)
    return EXIT.findings
  }
  process.stdout.write(json ? `${stringifyExactly(pathsJson(paths))}\n` : pathsText(paths, Date.now()))
  return EXIT.ok
}

async function replay(
  consumer: string,
  { ids, fromMs, toMs, json }: EventsOptions,
  filter: EventFilter,
  log: OpenLog<'dispatch' | 'loadHashKey'>
): Promise<ExitCode> {
  if (fromMs === undefined) {
    const { redis, openBlocking, config } = log
    const { consumers } = config.dispatch
    const options = { ...searchedLog(log), redis, consumers, openBlocking }
    const result = await sendIdsAgain(options, consumer, ids ?? [])
    process.stdout.write(
      json ? `${JSON.stringify(result)}\n` : `${result.replayed} replayed to ${consumer}\n`
    )
    const { left, unknown } = result
    const retention = formatDuration(log.config.log.retentionMs)
    for (const id of unknown) process.stderr.write(`cio-webhook events: ${unknownEvent(id, retention)}\n`)
    for (const { id, why } of left) process.stderr.write(`cio-webhook events: ${terminalSafe(id)}: ${why}\n`)
    return left.length + unknown.length === 0 ? EXIT.ok : EXIT.findings
  }
  const range = { from: String(fromMs), to: String(toMs ?? '+') }
  const { matches } = compileFilter(filter)
  const result = await consumerActions(log, Date.now).replayRange(consumer, range, matches)
  const text = replayedText(consumer, result, log.config.log.keyPrefix)
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : text)
  return result.replayed > 0 ? EXIT.ok : EXIT.findings
}

const searchedLog = ({ redis, config }: OpenLog) => ({
  redis,
  keyPrefix: config.log.keyPrefix,
  dedupeWindowMs: config.log.windowMs
})

/** Shows on a terminal how far a search is. */
async function withProgress<T>(search: (options: SearchOptions) => Promise<T>): Promise<T> {
  const bar = createProgressBar(process.stderr)
  try {
    return await search({
      onProgress: (share, searched) => bar.show(`${searched.toLocaleString('en-US')} events`, share)
    })
  } finally {
    bar.clear()
  }
}
