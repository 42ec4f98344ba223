// Tested by test/cli/connect/command.slow.test.ts.
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

/** Whether there is a person to ask. */
export const hasTerminal = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true

/**
 * Asks on the terminal for text that is not shown.
 *
 * @returns the text without white space around it, which is easily copied with a key; '' if the operator gave none
 */
export function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: silent, terminal: true, historySize: 0 })
  stderr.write(question)
  return new Promise(resolve => {
    // Ctrl-C and Ctrl-D close it without an answer.
    lines.once('close', () => {
      stderr.write('\n')
      resolve('')
    })
    lines.question('', answer => {
      resolve(answer.trim())
      lines.close()
    })
  })
}
