// Tested by test/cli/consumers/dead-letters.slow.test.ts.
import { createInterface } from 'node:readline'
import { UsageError } from './command.ts'

/**
 * Asks on the terminal before something that cannot be undone, or that changes what is not ours.
 *
 * @param question what will happen, without a question mark
 * @param warning what follows from it
 * @returns whether the operator typed `yes`
 * @throws UsageError if there is no terminal: then `--yes` is necessary
 */
export function confirm(question: string, warning = 'This cannot be undone. '): Promise<boolean> {
  const { stdin, stderr } = process
  if (!stdin.isTTY || !stderr.isTTY)
    throw new UsageError(`${question}: add --yes, because there is no terminal to ask on`)
  const lines = createInterface({ input: stdin, output: stderr })
  return new Promise(resolve => {
    // Ctrl-C and Ctrl-D close it without an answer.
    lines.once('close', () => resolve(false))
    lines.question(`${question}. ${warning}Type yes to continue: `, answer => {
      resolve(answer.trim() === 'yes')
      lines.close()
    })
  })
}
