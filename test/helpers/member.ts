import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { until } from './server.ts'

/** A consumer in a process of its own: see test/consumer/fixtures/member.ts. */
export interface MemberProcess {
  readonly pid: number
  /** What it has told so far. */
  told(): Record<string, unknown>[]
  kill(signal: NodeJS.Signals): void
  /** Resolves with how it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

const program = fileURLToPath(new URL('../consumer/fixtures/member.js', import.meta.url))

/** Resolves once it has started. */
export async function startMember(orders: Record<string, unknown>): Promise<MemberProcess> {
  const child = spawn(process.execPath, [program, JSON.stringify(orders)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let printed = ''
  child.stdout.on('data', chunk => {
    printed += chunk
  })
  const ended = new Promise<Awaited<MemberProcess['ended']>>(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  const told = (): Record<string, unknown>[] =>
    printed
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line))
  await until('the member has started', async () => printed.includes('"started"') || child.exitCode !== null)
  return { pid: child.pid ?? 0, told, kill: signal => void child.kill(signal), ended }
}
