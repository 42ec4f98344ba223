// Tested by test/cli/consumers/command.slow.test.ts.
import { integer } from '../../settings/parse.ts'
import { type LetterChoice, type LetterFilter, letterReasons } from '../../tools/consumers/choose-letters.ts'
import { MAX_COUNT, parseCommandLine, readOption, UsageError } from '../command.ts'
import { parseTime } from '../parse-time.ts'

export type Options = ReturnType<typeof readOptions>

const MAX_RATE = 100_000

/** @throws UsageError */
export function readOptions(args: readonly string[], nowMs: number) {
  const { values, positionals } = parseCommandLine({
    args: [...args],
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false },
      yes: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      reveal: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      type: { type: 'string', multiple: true },
      since: { type: 'string' },
      reason: { type: 'string' },
      rate: { type: 'string' },
      count: { type: 'string', default: '50' }
    }
  })
  const [action = 'list', ...names] = positionals
  const { all, yes, force, reveal, json, type, since, reason, rate } = values
  const filter: LetterFilter = {
    types: type,
    sinceMs: since === undefined ? undefined : parseTime('--since', since, nowMs),
    reason: reason === undefined ? undefined : reasonOption(reason)
  }
  const hasFilter = (type ?? since ?? reason) !== undefined
  for (const [option, actions, given] of [
    ['--type, --since and --reason', ['dead', 'replay', 'drop'], hasFilter],
    ['--rate', ['replay'], rate !== undefined],
    ['--yes', ['drop', 'drop-parked'], yes],
    ['--all', ['replay', 'drop', 'replay-parked', 'drop-parked'], all],
    ['--force', ['remove'], force],
    ['--reveal', ['parked'], reveal]
  ] as const) {
    const takes: readonly string[] = actions
    if (given && !takes.includes(action)) throw new UsageError(`${option}: only for ${actions.join(', ')}`)
  }
  return {
    action,
    names,
    all,
    yes,
    force,
    reveal,
    json,
    filter,
    hasFilter,
    ratePerSecond: rate === undefined ? undefined : readOption('--rate', integer(1, MAX_RATE), rate),
    count: readOption('--count', integer(1, MAX_COUNT), values.count)
  }
}

function reasonOption(text: string) {
  const reason = letterReasons.find(known => known === text)
  if (reason !== undefined) return reason
  throw new UsageError(`--reason ${text}: give ${letterReasons.join(', ')}`)
}

/** @throws UsageError unless there is exactly one */
export function only(names: readonly string[], what: string): string {
  const [name] = names
  if (name === undefined || names.length > 1) throw new UsageError(`give exactly one ${what}`)
  return name
}

/** The dead letters that `replay` and `drop` get: ids, or a filter, or all. @throws UsageError */
export function letterChoice({ all, filter, hasFilter, names }: Options): readonly [string, LetterChoice] {
  const [consumer, ...ids] = names
  if (consumer === undefined) throw new UsageError('give a CONSUMER')
  const chooses = all || hasFilter
  if (chooses && ids.length > 0) {
    throw new UsageError('give either ID..., or --all, --type, --since or --reason')
  }
  if (!chooses && ids.length === 0) {
    throw new UsageError('give ID..., or choose by --type, --since or --reason, or take --all')
  }
  return [consumer, chooses ? filter : ids]
}
