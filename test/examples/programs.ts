import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const page = readFileSync(join(root, 'docs/streams.md'), 'utf8')
/** Made when the commands of the page are run in the repository. */
const BUILT = new Set(['.venv', 'target', 'consumer', 'receiver'])

export const languages = ['Python', 'Go', 'Java', 'PHP'] as const

export interface Program {
  readonly process: ChildProcess
  /** Complete lines of stdout and stderr so far. */
  lines(): readonly string[]
  readonly ended: Promise<void>
}

/** A program of docs/streams.md, ready to be started. */
export interface PreparedProgram {
  start(env: Readonly<Record<string, string>>): Program
}

/**
 * Runs the commands that docs/streams.md has under a heading in a copy of examples/, except the last one, which starts
 * the program. The copy is removed when the test ends.
 *
 * @throws with the output, if a command fails, for example because a package cannot be installed
 */
export async function prepareProgram(t: Test, heading: string): Promise<PreparedProgram> {
  const commands = commandsUnder(heading)
  const last = commands.at(-1) ?? ''
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(root, 'examples'), join(folder, 'examples'), {
    recursive: true,
    filter: path => !BUILT.has(basename(path))
  })
  const change = commands[0] ?? ''
  const preparation = run(commands.slice(0, -1).join('\n'), folder, {})
  await preparation.ended
  if (preparation.process.exitCode !== 0) throw new Error(`${heading}: ${preparation.lines().join('\n')}`)
  return { start: env => run(`${change}\nexec ${last}`, folder, env) }
}

function commandsUnder(heading: string): readonly string[] {
  const [, section = ''] = page.split(`\n### ${heading}\n`)
  const commands = /```sh\n([\s\S]*?)```/.exec(section)?.[1]?.trim().split('\n') ?? []
  if (commands.length < 2) throw new Error(`no commands under ${heading}`)
  return commands
}

function run(script: string, folder: string, env: Readonly<Record<string, string>>): Program {
  const child = spawn('sh', ['-e', '-c', script], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const printed = ['', '']
  for (const [index, stream] of [child.stdout, child.stderr].entries()) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed[index] += text
    })
  }
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  return { process: child, ended, lines: () => printed.flatMap(text => text.split('\n').slice(0, -1)) }
}

/** Kills the program when the test ends. */
export function killedAfter(t: Test, program: Program): Program {
  t.teardown(async () => {
    if (program.process.exitCode === null && program.process.signalCode === null)
      program.process.kill('SIGKILL')
    await program.ended
  })
  return program
}
