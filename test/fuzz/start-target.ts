import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TargetReport, TargetRun } from './fuzz-target.ts'
import { corpusFile, type TargetName } from './target.ts'

const MAIN = fileURLToPath(new URL('./fuzz-target.js', import.meta.url))

interface TargetResult {
  readonly exit: number | NodeJS.Signals | null
  readonly output: string
  /** `undefined` if the process ended before it could report. */
  readonly report: TargetReport | undefined
}

/** Runs a target in a process of its own, so that a crash or a hang ends only that process. */
export function startTarget(
  name: TargetName,
  run: Pick<TargetRun, 'seed' | 'seconds' | 'minimize'>
): Promise<TargetResult> {
  const artifacts = resolve('build/fuzz/findings')
  mkdirSync(artifacts, { recursive: true })
  const options: TargetRun = {
    ...run,
    found: resolve('build/fuzz/corpus', `${name}.ndjson`),
    corpus: corpusFile(name),
    dictionary: resolve('test/fuzz/dictionary.txt'),
    artifacts
  }
  const child = spawn(process.execPath, ['--expose-gc', MAIN, name, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  process.once('exit', () => child.kill('SIGKILL'))
  const printed: Buffer[] = []
  child.stdout.on('data', chunk => printed.push(chunk))
  child.stderr.on('data', chunk => printed.push(chunk))
  return new Promise((done, failed) => {
    child.once('error', failed)
    child.once('close', (code, signal) => {
      const output = Buffer.concat(printed).toString()
      const last = output.trimEnd().split('\n').at(-1) ?? ''
      const report = last.startsWith('{') ? (JSON.parse(last) as TargetReport) : undefined
      done({ exit: code ?? signal, output, report })
    })
  })
}
