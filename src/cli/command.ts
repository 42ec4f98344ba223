import { type ParseArgsConfig, parseArgs } from 'node:util'
import { errorCode } from '../errors.ts'
import type { Environment } from '../settings/environment.ts'
import type { Parser } from '../settings/parse.ts'

/** Exit codes of every command. */
export const EXIT = { ok: 0, findings: 1, error: 2 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** One command of `cio-webhook`: a thin layer over functions that know nothing of terminals. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  /** What `--help` prints. */
  readonly usage: string
  /**
   * @param args the arguments after the command's name
   * @param env the variables of the process
   * @returns the exit code; `undefined` for a command that runs until a signal ends it
   * @throws UsageError and ConfigError, which are printed as one line and end with 2
   */
  readonly run: (args: readonly string[], env: Environment) => Promise<ExitCode | undefined>
}

/** The largest value of `--count`. */
export const MAX_COUNT = 100_000_000

/** An invalid command line. The message says what to type. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** Parses the value of an option, such as `--count`. @throws UsageError that says what is allowed */
export function readOption<T>(option: string, { parse, allowed }: Parser<T>, text: string): T {
  const value = parse(text)
  if (value === undefined) throw new UsageError(`${option} ${text}: give ${allowed}`)
  return value
}

/** `parseArgs` of node:util. @throws UsageError for what it refuses, in our words */
export function parseCommandLine<const T extends ParseArgsConfig>(
  config: T
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError(explain(errorCode(error), error instanceof Error ? error.message : ''))
  }
}

/** Node's messages explain at length how to pass positional arguments that begin with a dash. */
function explain(code: string | undefined, message: string): string {
  const [, quoted = ''] = /'(.+?)'(?: |\.|$)/s.exec(message) ?? []
  // `--count <value>` or `-c, --count <value>`
  const option = quoted.replace(/^.*, /, '').replace(/ <value>$/, '')
  switch (code) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION':
      return `unknown option ${option}: --help lists them`
    case 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE':
      if (message.includes('does not take')) return `option ${option} takes no value`
      return message.includes('ambiguous')
        ? `option ${option} needs a value; write ${option}=VALUE if the value begins with a dash`
        : `option ${option} needs a value`
    case 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL':
      return `unexpected argument ${quoted}`
    default:
      return 'invalid command line: see --help'
  }
}
