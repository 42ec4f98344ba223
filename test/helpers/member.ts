import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { until } from './server.ts'

/** A consumer in its own process: see test/consume/fixtures/member.ts. */
export interface MemberProcess {
  readonly pid: number
  /** The lines it has printed so far. */
  lines(): readonly Record<string, unknown>[]
  kill(signal: NodeJS.Signals): void
  /** Resolves when it has exited. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

const program = fileURLToPath(new URL('../consume/fixtures/member.js', import.meta.url))

/** @param options as in the fixture. Resolves once the member has started. */
export async function startMember(options: Record<string, unknown>): Promise<MemberProcess> {
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const lines: Record<string, unknown>[] = []
  createInterface({ input: child.stdout }).on('line', line => lines.push(JSON.parse(line)))
  const ended = new Promise<Awaited<MemberProcess['ended']>>(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  await until(
    'the member has started',
    async () => lines.some(line => 'started' in line) || child.exitCode !== null
  )
  return { pid: child.pid ?? 0, lines: () => lines, kill: signal => void child.kill(signal), ended }
}
