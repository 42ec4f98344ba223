// Tested by test/cli/consumers/dead-letters.slow.test.ts and test/cli/consumers/parked.slow.test.ts.
import { stringifyExactly } from '../../exact-json.ts'
import { EXIT, type ExitCode } from '../command.ts'
import { terminalSafe } from '../terminal.ts'

interface Output {
  readonly json: boolean
}

export const exitCode = (isGood: boolean): ExitCode => (isGood ? EXIT.ok : EXIT.findings)

export function print({ json }: Output, value: unknown, text: string): void {
  process.stdout.write(json ? `${stringifyExactly(value, 2)}\n` : text)
}

interface ReplayResult<Left> {
  readonly replayed: number
  readonly left: readonly Left[]
  readonly notWanted?: number
  readonly unknown: readonly string[]
  readonly interrupted: boolean
}

/** @param what such as `dead letter` */
export function printReplayed<Left extends { readonly why: string }>(
  output: Output,
  result: ReplayResult<Left>,
  what: string,
  nameOf: (left: Left) => string
): ExitCode {
  const { replayed, left, notWanted = 0, unknown, interrupted } = result
  const lines = left.map(one => `${nameOf(one)}: ${terminalSafe(one.why)}\n`).join('')
  const unwanted = notWanted === 0 ? '' : `${notWanted} not replayed: the consumer does not want them\n`
  print(output, result, `${replayed} replayed\n${lines}${unwanted}${interruptedNote(result)}`)
  nameUnknown(unknown, what)
  return exitCode(left.length === 0 && unknown.length === 0 && !interrupted)
}

export function printDropped(
  output: Output,
  result: { readonly dropped: number; readonly unknown: readonly string[]; readonly interrupted: boolean },
  what: string
): ExitCode {
  const { dropped, unknown, interrupted } = result
  print(output, result, `${dropped} dropped\n${interruptedNote(result)}`)
  nameUnknown(unknown, what)
  return exitCode(unknown.length === 0 && !interrupted)
}

/** Somebody stopped it in the console, or here. */
const interruptedNote = ({ interrupted }: { readonly interrupted: boolean }): string =>
  interrupted ? 'interrupted: the same command continues with the rest\n' : ''

/** On standard error, one line for each. */
export function nameUnknown(unknown: readonly string[], what: string): void {
  for (const id of unknown) {
    process.stderr.write(`cio-webhook consumers: there is no ${what} ${terminalSafe(JSON.stringify(id))}\n`)
  }
}
