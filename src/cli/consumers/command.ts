import { type Command, EXIT, type ExitCode, parseCommandLine, UsageError } from '../command.ts'
import { type OpenLog, openLog } from '../open-log.ts'
import { consumerActions } from './actions.ts'
import { parkedActions } from './parked-actions.ts'
import { parkedEntryText, parkedListText, parkedSummary, replayedParkedText } from './parked-report.ts'
import { consumersText, lettersText } from './report.ts'

const usage = `usage: cio-webhook consumers [ACTION] [options]

Who reads the event log, how far each has come, and what none of them took. Configured by the environment, as
for serve; consumers of the library are shown too.

  (no action)                     every consumer: lag, age of the oldest event it has not got, failures, state
  dead CONSUMER                   its dead letters
  replay CONSUMER LETTER... | --all
                                  offer dead letters again
  drop CONSUMER LETTER... | --all forget dead letters
  enable CONSUMER                 tell a consumer again that answered 410
  remove CONSUMER                 forget a group that nobody serves any more: the log keeps nothing for it then
  parked                          authentic deliveries that are not events; their bodies are sealed
  parked show DELIVERY            what is known of one; with --reveal its body, as it came, on standard output
  replay-parked DELIVERY... | --all
                                  read them again: what is an event by now enters the log
  drop-parked DELIVERY... | --all forget them
                                  DELIVERY: as listed, or the id in the answer and the log

  --count N     show at most so many (default 50)
  --reveal      needs the signing key that the delivery was sealed with, current or previous
  --force       remove a group that somebody serves
  --json        for scripts

States: ok, failing (its last attempt failed), disabled (it answered 410), unserved (nobody works for it, and the
log keeps what it has not read).
Exit code: 0 good, 1 a consumer is not ok or has dead letters, or not everything could be done, 2 could not run.`

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
  const count = Number(values.count)
  if (!Number.isSafeInteger(count) || count < 1) throw new UsageError('--count takes a whole number from 1')
  return {
    action,
    names,
    count,
    all: values.all,
    force: values.force,
    json: values.json,
    reveal: values.reveal
  }
}

async function run(options: Options, actions: ReturnType<typeof consumerActions>): Promise<ExitCode> {
  const { action, names, count, all, force } = options
  switch (action) {
    case 'list': {
      nothing(names)
      const list = await actions.list()
      print(options, list, consumersText(list))
      const good = list.consumers.every(({ state, dead }) => state === 'ok' && dead === 0)
      return good ? EXIT.good : EXIT.foundSomething
    }
    case 'dead': {
      const letters = await actions.letters(only(names, 'CONSUMER'), count)
      print(options, letters, lettersText(letters))
      return EXIT.good
    }
    case 'replay': {
      const [consumer, chosen] = choice(names, all, 'LETTER')
      const result = await actions.replay(consumer, chosen)
      const left = result.left.map(({ letter, why }) => `${letter}: ${why}\n`).join('')
      print(options, result, `${result.replayed} replayed\n${left}`)
      return result.left.length === 0 ? EXIT.good : EXIT.foundSomething
    }
    case 'drop': {
      const [consumer, chosen] = choice(names, all, 'LETTER')
      const dropped = await actions.drop(consumer, chosen)
      print(options, { dropped }, `${dropped} dropped\n`)
      return EXIT.good
    }
    case 'enable': {
      const consumer = only(names, 'CONSUMER')
      await actions.enable(consumer)
      print(options, { enabled: consumer }, `${consumer} is told of events again\n`)
      return EXIT.good
    }
    case 'remove': {
      const consumer = only(names, 'CONSUMER')
      const dead = await actions.remove(consumer, force)
      const rest = dead === 0 ? '' : `; its ${dead} dead letters are still there: drop ${consumer} --all\n`
      print(options, { removed: consumer, dead }, `${consumer} is removed${rest || '\n'}`)
      return EXIT.good
    }
    default:
      throw new UsageError(`no such action: ${JSON.stringify(action)}; --help lists them`)
  }
}

async function runParked(options: Options, actions: ReturnType<typeof parkedActions>): Promise<ExitCode> {
  const { action, names, count, all } = options
  if (action === 'replay-parked') {
    const result = await actions.replay(chosenOf(names, all, 'DELIVERY'))
    print(options, result, replayedParkedText(result))
    return result.left.length === 0 ? EXIT.good : EXIT.foundSomething
  }
  if (action === 'drop-parked') {
    const dropped = await actions.drop(chosenOf(names, all, 'DELIVERY'))
    print(options, { dropped }, `${dropped} dropped\n`)
    return EXIT.good
  }
  const [show, ...positions] = names
  if (show === undefined) {
    const entries = await actions.list(count)
    print(options, entries, parkedListText(entries, Date.now()))
    return EXIT.good
  }
  if (show !== 'show') throw new UsageError('parked takes no further argument but show DELIVERY')
  const entry = await actions.show(only(positions, 'DELIVERY'))
  if (options.reveal) return reveal(await actions.reveal(entry), entry.position)
  const summary = parkedSummary(entry)
  print(options, summary, parkedEntryText(summary))
  return EXIT.good
}

/** The bytes alone, so that they can be piped into a file. */
async function reveal(body: Buffer | string, position: string): Promise<ExitCode> {
  if (typeof body === 'string') {
    process.stderr.write(`cio-webhook consumers: ${position} cannot be revealed: ${body}\n`)
    return EXIT.foundSomething
  }
  await new Promise(resolve => process.stdout.write(body, resolve))
  return EXIT.good
}

function print({ json }: Options, value: unknown, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : text)
}

function nothing(names: readonly string[]): void {
  if (names.length > 0) throw new UsageError('takes no further argument')
}

function only(names: readonly string[], what: string): string {
  const [name] = names
  if (name === undefined || names.length > 1) throw new UsageError(`give one ${what}`)
  return name
}

function choice(names: readonly string[], all: boolean, what: string): [string, readonly string[] | 'all'] {
  const [consumer, ...chosen] = names
  if (consumer === undefined) throw new UsageError('give a CONSUMER')
  return [consumer, chosenOf(chosen, all, what)]
}

function chosenOf(names: readonly string[], all: boolean, what: string): readonly string[] | 'all' {
  if (all === names.length > 0) throw new UsageError(`give either ${what}... or --all`)
  return all ? 'all' : names
}
