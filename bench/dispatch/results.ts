import type { Circumstances } from '../results.ts'
import type { TargetOutcome } from '../targets.ts'
import type { Latencies, RateSizes } from './latency.ts'
import type { ManySizes, Outcome } from './many.ts'
import type { Other } from './outage.ts'
import type { Throughput } from './throughput.ts'

/** What the parts of the benchmark measure. Of each way, one measurement per round. */
export interface Measured {
  readonly throughput: ByWay<Throughput>
  readonly latency: ByWay<Latencies>
  readonly outage: Readonly<Record<Other, readonly Latencies[]>>
  readonly many: Outcome
  /** By kind of consumer, then by ATTEMPT_LOG_LENGTH. */
  readonly attempts: Readonly<Record<string, ByWay<Throughput>>>
}

/** By the title of a kind of consumer, or of the bare loop. */
export type ByWay<T> = Readonly<Record<string, readonly T[]>>

/** What one part of the benchmark measured, and the targets that it has. */
export interface PartResult<T> {
  readonly measured: T
  readonly targets: readonly TargetOutcome[]
}

/** Content of bench/results/<date>-dispatch.json. */
export interface DispatchResults extends Circumstances {
  readonly command: string
  readonly sizes: RateSizes & { readonly events: number; readonly many: ManySizes }
  /** The parts that ran. */
  readonly measured: Partial<Measured>
  readonly targets: readonly TargetOutcome[]
}
