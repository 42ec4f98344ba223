import { spawn } from 'node:child_process'
import { MAIN, nodeEnvironment } from './process.ts'

/**
 * Runs the command on a pseudo-terminal.
 *
 * @param answer the line of input for the question before something that cannot be undone
 * @param key the line of input for the question for a signing key
 * @returns what the terminal shows
 */
export function onTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  answer = '',
  key = ''
): Promise<string> {
  const command = [process.execPath, MAIN, ...args].map(arg => `'${arg}'`).join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...nodeEnvironment, SHELL: '/bin/sh', ...env }
  })
  let output = ''
  const questions = new Map([
    ['Type yes', answer],
    ['Signing key', key]
  ])
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    for (const [question, line] of questions) {
      if (!output.includes(question)) continue
      questions.delete(question)
      child.stdin.write(`${line}\n`)
    }
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(output))
  })
}
