import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/**
 * Runs the command on a pseudo-terminal.
 *
 * @param answer the line of input for the question before something that cannot be undone
 * @returns what the terminal shows
 */
export function onTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  answer = ''
): Promise<string> {
  const command = [process.execPath, MAIN, ...args].map(arg => `'${arg}'`).join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], SHELL: '/bin/sh', ...env }
  })
  let output = ''
  let answered = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (answered || !output.includes('Type yes')) return
    answered = true
    child.stdin.write(`${answer}\n`)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(output))
  })
}
