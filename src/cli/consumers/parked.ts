// Tested by test/cli/consumers/parked.slow.test.ts.
import { allParked, type BulkActions } from '../../tools/bulk/bulk-actions.ts'
import type { ParkedChoice, parkedActions } from '../../tools/parked/actions.ts'
import { parkedSummary } from '../../tools/parked/summary.ts'
import { EXIT, type ExitCode, UsageError } from '../command.ts'
import { confirm } from '../confirm.ts'
import { type Options, only } from './options.ts'
import { parkedEntryText, parkedListText } from './parked-report.ts'
import { nameUnknown, print, printDropped, printReplayed } from './results.ts'

export const isParkedAction = (action: string): boolean =>
  ['parked', 'replay-parked', 'drop-parked'].includes(action)

const WHAT = 'parked delivery'
/** The console shows it as the one who started a replay or drop. */
export const WHO = 'the command line'

/** The actions `parked`, `replay-parked` and `drop-parked`. */
export async function runParked(
  options: Options,
  actions: ReturnType<typeof parkedActions>,
  bulk: BulkActions
): Promise<ExitCode> {
  const { action, names, all, yes } = options
  if (action === 'replay-parked') {
    const choice = choiceOf(options)
    const result = await bulk.run(allParked, { action: 'replay', who: WHO }, options =>
      actions.replay(choice, options)
    )
    return printReplayed(options, result, WHAT, ({ delivery }) => delivery)
  }
  if (action === 'drop-parked') {
    const choice = choiceOf(options)
    if (all && !yes && !(await confirm('delete all parked deliveries'))) {
      process.stderr.write('cio-webhook consumers: nothing was deleted\n')
      return EXIT.findings
    }
    const dropped = await bulk.run(allParked, { action: 'drop', who: WHO }, options =>
      actions.drop(choice, options)
    )
    return printDropped(options, dropped, WHAT)
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
  const delivery = only(deliveries, 'DELIVERY')
  const entry = await actions.show(delivery)
  if (entry === undefined) {
    nameUnknown([delivery], WHAT)
    return EXIT.findings
  }
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

function choiceOf({ all, names }: Options): ParkedChoice {
  if (all === names.length > 0) throw new UsageError('give either DELIVERY... or --all')
  return all ? 'all' : names
}
