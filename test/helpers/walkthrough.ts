import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import { until } from './server.ts'

/** A shell block of a page, and the block directly below it, which shows what it prints. */
export interface Step {
  readonly command: string
  readonly output: string | undefined
}

interface WalkOptions {
  readonly env: NodeJS.ProcessEnv
  readonly folder: string
  /** What a name in the page is on this machine. */
  readonly names: Readonly<Record<string, string>>
  /** What is done instead of a block; it may return another command. */
  readonly actions?: Readonly<Record<string, () => Promise<string | undefined>>>
  /** Runs before each attempt at a command. */
  prepare?(): void
}

/** @param path of a page */
export function stepsOf(path: string): readonly Step[] {
  const blocks = /^```sh\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?/gms
  return [...readFileSync(path, 'utf8').matchAll(blocks)].map(([, command = '', output]) => ({
    command: command.trim(),
    output
  }))
}

const OUTPUT_TIMEOUT_MS = 30_000
/** These must not run twice. A command that only reads runs until it prints what the page shows. */
const CHANGES = /\b(send|replay|openssl)\b|consumers test|(docker-compose|docker compose) (?!exec|logs)/

/** Runs each step, and compares what it prints with the page, without times, ids and widths of columns. */
export async function walk(t: Test, steps: readonly Step[], options: WalkOptions): Promise<void> {
  const unused = new Set(Object.keys(options.actions ?? {}))
  for (const { command, output } of steps) {
    const action = options.actions?.[command]
    unused.delete(command)
    const actual = action === undefined ? command : await action()
    if (actual === undefined) continue
    const expected = output === undefined ? /^/ : patternOf(output)
    let code: number | null = 0
    const attempt = async (): Promise<string> => {
      options.prepare?.()
      const result = await run(toActual(actual, options), options)
      code = result.code
      return normalize(named(result.printed, options))
    }
    let printed = await attempt()
    if (!expected.test(printed) && !CHANGES.test(actual)) {
      await until(
        command,
        async () => {
          printed = await attempt()
          return expected.test(printed)
        },
        OUTPUT_TIMEOUT_MS
      ).catch(() => {})
    }
    t.match(printed, expected, command)
    // `status` and others end with 1 if there is a problem.
    if (output === undefined) t.equal(code, 0, code === 0 ? 'exit code' : printed)
  }
  t.same([...unused], [], 'every block for which there is an action is in the page')
}

function run(
  command: string,
  { env, folder }: WalkOptions
): Promise<{ code: number | null; printed: string }> {
  const child = spawn('bash', ['--norc', '-c', `exec 2>&1; set -e\n${command}`], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve({ code, printed }))
  })
}

const toActual = (text: string, { names }: WalkOptions): string =>
  Object.entries(names).reduce((text, [name, actual]) => text.replaceAll(name, actual), text)

const named = (text: string, { names }: WalkOptions): string =>
  Object.entries(names).reduce((text, [name, actual]) => text.replaceAll(actual, name), text)

/** Takes out of an output what differs each time: times, durations, ids that are made at random, widths of columns. */
function normalize(text: string): string {
  return text
    .replaceAll('\r', '')
    .replace(/\n*$/, '\n')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/\b\d+-\d{13}-\d+\b/g, '<position>')
    .replace(/\b\d{13}-\d+\b/g, '<entry>')
    .replace(/\b(sample|test)-[0-9a-f][0-9a-f-]+\b/g, '<event>')
    .replace(/\b\d+(\.\d+)? (ms|s|min|h|per second)\b/g, '<duration>')
    .replace(/"(pid|ms|bytes|\w+Ms|\w+Seconds)":[\d.]+/g, '"$1":0')
    .replace(/\b(delivered|failed|dead)( +)(\S+) +\d+$/gm, '$1$2$3 <duration>')
    .replace(/\b[0-9a-f]{8}\b/g, '<key>')
    .replace(/ {2,}/g, '  ')
    .replace(/ +$/gm, '')
}

/** A line `…` stands for any lines, `…` in a line for any characters of it. */
function patternOf(shown: string): RegExp {
  const lines = normalize(shown)
    .split(/(?<=\n)/)
    .map(line => (line.trim() === '…' ? '[^]*?' : line.split('…').map(escapeRegExp).join('.*')))
  return new RegExp(`^${lines.join('')}$`)
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
