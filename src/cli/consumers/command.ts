import { counted } from '../../counted.ts'
import { type BulkActions, createBulkActions, lettersOf } from '../../tools/bulk/bulk-actions.ts'
import { consumerActions } from '../../tools/consumers/actions.ts'
import { deadLettersJson, detailsJson } from '../../tools/consumers/consumer-json.ts'
import { parkedActions } from '../../tools/parked/actions.ts'
import { type Command, EXIT, type ExitCode, UsageError } from '../command.ts'
import { confirm } from '../confirm.ts'
import { type OpenLog, openLog } from '../open-log.ts'
import { createProgressBar } from '../progress-bar.ts'
import { detailsText } from './details-report.ts'
import { exchangeText } from './exchange-report.ts'
import { letterChoice, type Options, only, readOptions } from './options.ts'
import { isParkedAction, runParked, WHO } from './parked.ts'
import { consumersText, deadLettersText } from './report.ts'
import { exitCode, print, printDropped, printReplayed } from './results.ts'
import { usage } from './usage.ts'

export const consumersCommand: Command = {
  summary: 'list, show, pause and test consumers; handle their dead letters',
  usage,
  run: async (args, env) => {
    const options = readOptions(args, Date.now())
    return isParkedAction(options.action)
      ? withLog(await openLog(env, ['loadSources', 'loadSourceSettings', 'loadHashKey']), log =>
          runParked(options, parkedActions(log), bulkActions(log))
        )
      : withLog(await openLog(env, ['dispatch']), log =>
          run(options, consumerActions(log, Date.now), bulkActions(log))
        )
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

const bulkActions = ({ redis, config }: OpenLog): BulkActions =>
  createBulkActions({ redis, keyPrefix: config.log.keyPrefix, now: Date.now })

type Actions = ReturnType<typeof consumerActions>

async function run(options: Options, actions: Actions, bulk: BulkActions): Promise<ExitCode> {
  const { action, names, force } = options
  const done = (result: Readonly<Record<string, unknown>>, text: string): ExitCode => {
    print(options, result, `${text}\n`)
    return EXIT.ok
  }
  switch (action) {
    case 'list': {
      if (names.length > 0) throw new UsageError(`unexpected argument ${JSON.stringify(names[0])}`)
      const list = await actions.list()
      print(options, list, consumersText(list, Date.now()))
      const isGood = list.consumers.every(({ state, dead }) => state === 'ok' && dead === 0)
      return exitCode(isGood && list.removedConsumers.length === 0)
    }
    case 'show': {
      const details = await actions.show(only(names, 'CONSUMER'))
      print(options, detailsJson(details), detailsText(details, Date.now()))
      return exitCode(details.status.state === 'ok' && details.status.dead === 0)
    }
    case 'test': {
      const exchange = await actions.test(only(names, 'CONSUMER'))
      print(options, exchange, exchangeText(exchange))
      return exitCode(exchange.accepted)
    }
    case 'pause': {
      const consumer = only(names, 'CONSUMER')
      const changed = await actions.pause(consumer)
      const effect = changed
        ? 'paused: within 2 s no replica sends it new events; they stay in the log'
        : 'was paused already: nothing changed'
      return done(
        { paused: consumer, changed },
        `${consumer} ${effect}. Continue: cio-webhook consumers resume ${consumer}`
      )
    }
    case 'resume': {
      const consumer = only(names, 'CONSUMER')
      const changed = await actions.resume(consumer)
      const effect = changed
        ? 'resumed: it gets its events again within 2 s'
        : 'was not paused: nothing changed'
      return done({ resumed: consumer, changed }, `${consumer} ${effect}`)
    }
    case 'enable': {
      const consumer = only(names, 'CONSUMER')
      const changed = await actions.enable(consumer)
      const effect = changed ? 're-enabled' : 'was not disabled: nothing changed'
      return done({ enabled: consumer, changed }, `${consumer} ${effect}`)
    }
    case 'remove': {
      const consumer = only(names, 'CONSUMER')
      const dead = await actions.remove(consumer, force)
      const note =
        dead === 0
          ? ''
          : `; it still has ${counted(dead, 'dead letter')} (drop ${consumer} --all deletes them)`
      return done({ removed: consumer, dead }, `${consumer} removed${note}`)
    }
    case 'dead': {
      const letters = await actions.deadLetters(only(names, 'CONSUMER'), options.filter, options.count)
      print(options, deadLettersJson(letters), deadLettersText(letters))
      return EXIT.ok
    }
    case 'replay':
      return replay(options, actions, bulk)
    case 'drop': {
      const [consumer, choice] = letterChoice(options)
      const isBulk = options.all || options.hasFilter
      const what = options.hasFilter ? 'the chosen' : 'all'
      if (isBulk && !options.yes && !(await confirm(`delete ${what} dead letters of ${consumer}`))) {
        process.stderr.write('cio-webhook consumers: nothing was deleted\n')
        return EXIT.findings
      }
      const dropped = await bulk.run(lettersOf(consumer), { action, who: WHO }, options =>
        actions.drop(consumer, choice, options)
      )
      return printDropped(options, dropped, 'dead letter')
    }
    default:
      throw new UsageError(`unknown action ${JSON.stringify(action)}: --help lists the actions`)
  }
}

async function replay(options: Options, actions: Actions, bulk: BulkActions): Promise<ExitCode> {
  const [consumer, choice] = letterChoice(options)
  const bar = createProgressBar(process.stderr)
  const total = process.stderr.isTTY ? await actions.countLetters(consumer, choice) : 0
  const stopped = new AbortController()
  const stop = (): void => stopped.abort()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  const result = await bulk
    .run(lettersOf(consumer), { action: 'replay', who: WHO }, ({ signal, onProgress }) =>
      actions.replay(consumer, choice, {
        ratePerSecond: options.ratePerSecond,
        signal: AbortSignal.any([signal, stopped.signal]),
        onProgress: handled => {
          onProgress(handled)
          bar.show(`${handled} of ${total} handled`, handled / Math.max(1, total))
        }
      })
    )
    .finally(() => bar.clear())
  return printReplayed(options, result, 'dead letter', ({ id }) => id)
}
