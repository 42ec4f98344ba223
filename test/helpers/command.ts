import { spawn } from 'node:child_process'
import type { Command } from '../../src/cli/command.ts'
import { MAIN, nodeEnvironment } from './process.ts'

interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

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

/**
 * Runs a command in this process, which takes far less time than to start Node. Only one at a time, because it captures
 * what this process prints. What `main.ts` adds is not there: an error is thrown, not printed.
 */
export async function runHere(
  command: Command,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {}
): Promise<Omit<CommandResult, 'code'> & { readonly code: number | undefined }> {
  const [stdout, stderr] = [captureOutput(process.stdout), captureOutput(process.stderr)]
  try {
    const code = await command.run(args, env)
    return { code, stdout: stdout.text(), stderr: stderr.text() }
  } finally {
    stdout.restore()
    stderr.restore()
  }
}

/** Looks to the command like a pipe, also if the tests print to a terminal. */
function captureOutput(stream: NodeJS.WriteStream) {
  const { write, isTTY, columns } = stream
  let text = ''
  const capture = (chunk: string): boolean => {
    text += chunk
    return true
  }
  Object.assign(stream, { write: capture, isTTY: false, columns: undefined })
  return { text: () => text, restore: () => Object.assign(stream, { write, isTTY, columns }) }
}
