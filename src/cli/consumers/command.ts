import { stringifyExactly } from '../../exact-json.ts'
import { integer } from '../../settings/parse.ts'
import {
  type Command,
  EXIT,
  type ExitCode,
  MAX_COUNT,
  parseCommandLine,
  readOption,
  UsageError
} from '../command.ts'
import { type OpenLog, openLog } from '../open-log.ts'
import { type Chosen, consumerActions } from './actions.ts'
import { parkedActions } from './parked-actions.ts'
import { parkedEntryText, parkedListText, parkedSummary } from './parked-report.ts'
import { consumersText, deadLettersJson, deadLettersText } from './report.ts'

const usage = `usage: cio-webhook consumers [ACTION] [options]

Lists the consumers of the event log: push consumers, consumers of the library, and plain Redis Streams groups. Handles
events that a consumer could not process, and parked deliveries. Configured by the environment, like serve.

  (no action)                      every consumer: lag, age of its oldest unprocessed event, failures, state
  dead CONSUMER                    list its dead letters
  replay CONSUMER ID... | --all    process dead letters again
  drop CONSUMER ID... | --all      delete dead letters
  enable CONSUMER                  re-enable a consumer that answered 410
  remove CONSUMER                  delete a consumer group that is no longer used: the log keeps no events for it then
  parked                           list parked deliveries: authentic, but not events. Their bodies are encrypted
  parked show DELIVERY             show one; with --reveal, print its body as it was received
  replay-parked DELIVERY... | --all
                                   parse parked deliveries again: those that are events now are appended to the log
  drop-parked DELIVERY... | --all  delete parked deliveries
                                   DELIVERY: as listed, or the id in the response and in the log line

  --count N     list at most N (default 50)
  --reveal      decrypt the body. Needs the signing key of that time, as current or previous key
  --force       remove a group that has active members
  --json        print JSON

States: ok; failing (the last attempt failed, and events wait); disabled (it answered 410); no_members (the group has no
active member, and the log keeps all events that it has not read).
Exit code: 0 ok, 1 a consumer is not ok or has dead letters, or not everything could be done, 2 could not run.`

export const consumersCommand: Command = {
  summary: 'list consumers, their lag and their dead letters',
  usage,
  run: async (args, env) => {
    const options = readOptions(args)
    return PARKED_ACTIONS.has(options.action)
      ? withLog(await openLog(env, ['loadSources', 'loadSourceSettings']), log =>
          runParked(options, parkedActions(log))
        )
      : withLog(await openLog(env, ['dispatch']), log => run(options, consumerActions(log, Date.now)))
  }
}

async function withLog<Log extends OpenLog>(
  log: Log,
  act: (log: Log) => Promise<ExitCode>
): Promise<ExitCode> {
  try {
    return await act(log)
  } finally {
    log.close()
  }
}

type Options = ReturnType<typeof readOptions>

const PARKED_ACTIONS: ReadonlySet<string> = new Set(['parked', 'replay-parked', 'drop-parked'])

function readOptions(args: readonly string[]) {
  const { values, positionals } = parseCommandLine({
    args: [...args],
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      reveal: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      count: { type: 'string', default: '50' }
    }
  })
  const [action = 'list', ...names] = positionals
  return { ...values, action, names, count: readOption('--count', integer(1, MAX_COUNT), values.count) }
}

async function run(options: Options, actions: ReturnType<typeof consumerActions>): Promise<ExitCode> {
  const { action, names, force } = options
  switch (action) {
    case 'list': {
      if (names.length > 0) throw new UsageError(`unexpected argument ${JSON.stringify(names[0])}`)
      const list = await actions.list()
      print(options, list, consumersText(list))
      return exitCode(list.consumers.every(({ state, dead }) => state === 'ok' && dead === 0))
    }
    case 'dead': {
      const letters = await actions.deadLetters(only(names, 'CONSUMER'), options.count)
      print(options, deadLettersJson(letters), deadLettersText(letters))
      return EXIT.ok
    }
    case 'replay': {
      const [consumer, ids] = consumerAndIds(names)
      const result = await actions.replay(consumer, chosenOf(options, ids, 'ID'))
      return printReplayed(options, result, ({ id }) => id)
    }
    case 'drop': {
      const [consumer, ids] = consumerAndIds(names)
      return printDropped(options, await actions.drop(consumer, chosenOf(options, ids, 'ID')))
    }
    case 'enable': {
      const consumer = only(names, 'CONSUMER')
      await actions.enable(consumer)
      print(options, { enabled: consumer }, `${consumer} re-enabled\n`)
      return EXIT.ok
    }
    case 'remove': {
      const consumer = only(names, 'CONSUMER')
      const dead = await actions.remove(consumer, force)
      const note =
        dead === 0 ? '' : `; it still has ${dead} dead letters (drop ${consumer} --all deletes them)`
      print(options, { removed: consumer, dead }, `${consumer} removed${note}\n`)
      return EXIT.ok
    }
    default:
      throw new UsageError(`unknown action ${JSON.stringify(action)}: --help lists the actions`)
  }
}

async function runParked(options: Options, actions: ReturnType<typeof parkedActions>): Promise<ExitCode> {
  const { action, names } = options
  if (action === 'replay-parked') {
    const result = await actions.replay(chosenOf(options, names, 'DELIVERY'))
    return printReplayed(options, result, ({ delivery }) => delivery)
  }
  if (action === 'drop-parked') {
    return printDropped(options, await actions.drop(chosenOf(options, names, 'DELIVERY')))
  }
  const [show, ...deliveries] = names
  if (show === undefined) {
    const entries = await actions.list(options.count)
    print(options, entries, parkedListText(entries, Date.now()))
    return EXIT.ok
  }
  if (show !== 'show') {
    throw new UsageError(`unexpected argument ${JSON.stringify(show)}: parked takes only show DELIVERY`)
  }
  const entry = await actions.show(only(deliveries, 'DELIVERY'))
  if (options.reveal) return reveal(await actions.reveal(entry), entry.position)
  const summary = parkedSummary(entry)
  print(options, summary, parkedEntryText(summary))
  return EXIT.ok
}

/** Prints nothing but the body, so that it can be piped into a file. */
async function reveal(body: Buffer | string, position: string): Promise<ExitCode> {
  if (typeof body === 'string') {
    process.stderr.write(`cio-webhook consumers: ${position} cannot be revealed: ${body}\n`)
    return EXIT.findings
  }
  await new Promise(resolve => process.stdout.write(body, resolve))
  return EXIT.ok
}

function printReplayed<Left extends { readonly why: string }>(
  options: Options,
  result: { readonly replayed: number; readonly left: readonly Left[] },
  nameOf: (left: Left) => string
): ExitCode {
  const lines = result.left.map(left => `${nameOf(left)}: ${left.why}\n`).join('')
  print(options, result, `${result.replayed} replayed\n${lines}`)
  return exitCode(result.left.length === 0)
}

function printDropped(options: Options, dropped: number): ExitCode {
  print(options, { dropped }, `${dropped} dropped\n`)
  return EXIT.ok
}

function print({ json }: Options, value: unknown, text: string): void {
  process.stdout.write(json ? `${stringifyExactly(value, 2)}\n` : text)
}

const exitCode = (isGood: boolean): ExitCode => (isGood ? EXIT.ok : EXIT.findings)

function only(names: readonly string[], what: string): string {
  const [name] = names
  if (name === undefined || names.length > 1) throw new UsageError(`give exactly one ${what}`)
  return name
}

function consumerAndIds([consumer, ...ids]: readonly string[]): [string, readonly string[]] {
  if (consumer === undefined) throw new UsageError('give a CONSUMER')
  return [consumer, ids]
}

function chosenOf({ all }: Options, names: readonly string[], what: string): Chosen {
  if (all === names.length > 0) throw new UsageError(`give either ${what}... or --all`)
  return all ? 'all' : names
}
