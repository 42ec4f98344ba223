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
const COMMAND_TIMEOUT_MS = 120_000
/** npm's packages come through the network. */
const BUILD_TIMEOUT_MS = 600_000
/** These must not run twice. A command that only reads runs until it prints what the page shows. */
const CHANGES = /\b(send|replay|openssl)\b|consumers test|(docker-compose|docker compose) (?!exec|logs)/

/**
 * Runs each step, and compares what it prints with the page, without times, ids and widths of columns.
 *
 * @throws at the first step that fails, with what it printed: the steps after it would wait for what it did not do
 */
export async function walk(t: Test, steps: readonly Step[], options: WalkOptions): Promise<void> {
  const unused = new Set(Object.keys(options.actions ?? {}))
  for (const { command, output } of steps) {
    const action = options.actions?.[command]
    unused.delete(command)
    const actual = action === undefined ? command : await action()
    if (actual === undefined) continue
    const expected = output === undefined ? /^/ : patternOf(output)
    const limitMs = actual.includes('--build') ? BUILD_TIMEOUT_MS : COMMAND_TIMEOUT_MS
    const attempt = async (): Promise<Ended> => {
      options.prepare?.()
      const { printed, ...end } = await run(toActual(actual, options), options, limitMs)
      return { ...end, printed: normalize(named(printed, options)) }
    }
    let ended = await attempt()
    if (!expected.test(ended.printed) && !CHANGES.test(actual)) {
      await until(
        command,
        async () => {
          ended = await attempt()
          return expected.test(ended.printed)
        },
        OUTPUT_TIMEOUT_MS
      ).catch(() => {})
    }
    const { printed, isTooLong, code } = ended
    const failed = (how: string): Error => new Error(`${command}\n\n${how}. It printed:\n\n${printed}`)
    if (isTooLong) throw failed(`It did not end within ${limitMs / 1000} s`)
    // `status` and others end with 1 if there is a problem.
    if (output === undefined && code !== 0) throw failed(`It ended with ${code}`)
    if (!expected.test(printed)) throw failed(`The page shows:\n\n${normalize(output ?? '')}`)
    t.pass(command)
  }
  t.same([...unused], [], 'every block for which there is an action is in the page')
}

interface Ended {
  /** `null` if it was killed. */
  readonly code: number | null
  readonly isTooLong: boolean
  readonly printed: string
}

/** Runs a block of shell. After `limitMs` it is killed, with every process that it has started. */
export function run(
  command: string,
  { env, folder }: Pick<WalkOptions, 'env' | 'folder'>,
  limitMs: number
): Promise<Ended> {
  const child = spawn('bash', ['--norc', '-c', `exec 2>&1; set -e\n${command}`], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true // a process group of its own
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
  }
  let isTooLong = false
  const timer = setTimeout(() => {
    isTooLong = true
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  }, limitMs)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      clearTimeout(timer)
      resolve({ code, isTooLong, printed })
    })
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
