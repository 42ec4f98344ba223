import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'

/** The load of one run of the load generator. */
export interface Load {
  readonly connections: number
  /** Offered deliveries per second; `undefined`: each connection sends as soon as it is answered. */
  readonly rate?: number
  readonly seconds?: number
  readonly count?: number
  /** Share of deliveries that repeat an earlier id. */
  readonly repeats?: number
}

interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Written by bench/load/tally.go. */
export interface LoadReport {
  readonly unique: number
  readonly repeated: number
  readonly accepted: number
  readonly duplicate: number
  readonly otherOk: number
  readonly refused: Readonly<Record<string, number>>
  readonly bodyBytes: number
  readonly seconds: number
  readonly throughput: number
  readonly latencyMs: Quantiles
  readonly lateMs: Quantiles
  readonly cpuSeconds: number
}

/**
 * @param run two characters that are part of every id of this run
 * @throws if the contestant closed a connection or did not answer
 */
export async function runLoad(load: Load, port: number, secret: string, run: string): Promise<LoadReport> {
  const flags = { port, run, ...load }
  const child = spawn(
    resolve('build/bench/bin/load'),
    Object.entries(flags).flatMap(([name, value]) => [`-${name}`, String(value)]),
    { stdio: ['ignore', 'pipe', 'inherit'], env: { CIO_WEBHOOK_SECRET: secret } }
  )
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (code !== 0) throw new Error(`the load generator exited with ${code}`)
  return JSON.parse(output) as LoadReport
}
