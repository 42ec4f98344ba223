import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { nodeEnvironment } from './process.ts'

interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** Runs `cio-webhook` in a process of its own, with only `env` and `nodeEnvironment` as its environment, until it exits. */
export function runToEnd(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input = ''
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...nodeEnvironment, ...env } })
  const printed = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      printed[stream] += text
    })
  }
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve({ code, ...printed }))
  })
}
