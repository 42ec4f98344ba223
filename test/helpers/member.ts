import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { until } from './server.ts'

/** A consumer in a process of its own: see test/consume/fixtures/member.ts. */
export interface MemberProcess {
  readonly pid: number
  /** The lines it has printed so far. */
  told(): readonly Record<string, unknown>[]
  kill(signal: NodeJS.Signals): void
  /** Resolves when it has exited. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

const program = fileURLToPath(new URL('../consume/fixtures/member.js', import.meta.url))

/** Resolves once it has started. */
export async function startMember(orders: Record<string, unknown>): Promise<MemberProcess> {
  const child = spawn(process.execPath, [program, JSON.stringify(orders)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const told: Record<string, unknown>[] = []
  createInterface({ input: child.stdout }).on('line', line => told.push(JSON.parse(line)))
  const ended = new Promise<Awaited<MemberProcess['ended']>>(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  await until(
    'the member has started',
    async () => told.some(line => 'started' in line) || child.exitCode !== null
  )
  return { pid: child.pid ?? 0, told: () => told, kill: signal => void child.kill(signal), ended }
}
