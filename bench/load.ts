import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'

/** What one run of the load generator sends. */
export interface Load {
  readonly connections: number
  /** Offered deliveries a second; `undefined`: each connection sends as soon as it is answered. */
  readonly rate?: number
  readonly seconds?: number
  readonly count?: number
  /** Share of deliveries that repeat an id sent before. */
  readonly repeats?: number
}

export interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** What came back. Written by bench/load/tally.go. */
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
 * @param run two characters that the ids of this run carry
 * @throws when the contestant hung up, or did not answer
 */
export async function runLoad(load: Load, port: number, secret: string, run: string): Promise<LoadReport> {
  const flags = { port, run, ...load }
  const child = spawn(
    resolve('build/bench/bin/load'),
    Object.entries(flags).flatMap(([name, value]) => [`-${name}`, String(value)]),
    { stdio: ['ignore', 'pipe', 'inherit'], env: { CIO_WEBHOOK_SECRET: secret } }
  )
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  if (code !== 0) throw new Error(`the load generator ended with ${code}`)
  return JSON.parse(output) as LoadReport
}
