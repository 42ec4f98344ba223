// Tested by test/cli/consumers/dead-letters.slow.test.ts.
import { createInterface } from 'node:readline'
import { UsageError } from './command.ts'

/**
 * Asks on the terminal before something that cannot be undone.
 *
 * @param question what will happen, without a question mark
 * @returns whether the operator typed `yes`
 * @throws UsageError if there is no terminal: then `--yes` is necessary
 */
export function confirm(question: string): Promise<boolean> {
  const { stdin, stderr } = process
  if (!stdin.isTTY || !stderr.isTTY)
    throw new UsageError(`${question}: add --yes, because there is no terminal to ask on`)
  const lines = createInterface({ input: stdin, output: stderr })
  return new Promise(resolve => {
    // Ctrl-C and Ctrl-D close it without an answer.
    lines.once('close', () => resolve(false))
    lines.question(`${question}. This cannot be undone. Type yes to continue: `, answer => {
      resolve(answer.trim() === 'yes')
      lines.close()
    })
  })
}
