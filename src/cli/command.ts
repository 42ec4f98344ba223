import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Environment } from '../settings/environment.ts'

/** Exit codes of every command. */
export const EXIT = { good: 0, foundSomething: 1, couldNotRun: 2 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** One command of `cio-webhook`: a thin shell over functions that know nothing of terminals. */
export interface Command {
  /** One line for the list of commands. */
  readonly summary: string
  /** What `--help` prints. */
  readonly usage: string
  /**
   * @param args what stands behind the command's name
   * @param env the variables of the process
   * @returns the exit code; `undefined` for a command that goes on until it is told to end
   * @throws UsageError and ConfigError, which are told in one line and end with 2
   */
  readonly run: (args: readonly string[], env: Environment) => Promise<ExitCode | undefined>
}

/** The command line can't be meant. The message says what to type. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** `parseArgs` of node:util, its refusals as UsageError. */
export function parseCommandLine<const T extends ParseArgsConfig>(
  config: T
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    // Node.js goes on about positional arguments that begin with a dash.
    const [, option] = /^Unknown option '(.+?)'\. /.exec(message) ?? []
    throw new UsageError(option === undefined ? message : `unknown option ${option}: --help lists them`)
  }
}
