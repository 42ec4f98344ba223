// Tested by test/ops/metrics.test.ts.

/**
 * The values of a label that exist from the start: a closed set, or `configured` (names of sources or consumers). Then
 * each series starts at 0. A label with the values `observed` gets them later, from a closed set or from Redis.
 */
type LabelValues = readonly string[] | 'configured' | 'observed'

export type Labels = Readonly<Record<string, LabelValues>>

/** Texts for docs/metrics.md: `npm run docs:metrics`. `help` is also in the output of `/metrics`. */
interface Texts {
  readonly help: string
  /** When an operator should look at it. */
  readonly matters: string
}

export const counter = (texts: Texts, labels: Labels) => ({ kind: 'counter', ...texts, labels }) as const
export const histogram = (texts: Texts, buckets: number[]) =>
  ({ kind: 'histogram', ...texts, labels: {}, buckets }) as const
/** @param aggregator how the values of several workers are combined */
export const gauge = (texts: Texts, labels: Labels = {}, aggregator: 'max' | 'min' | 'first' = 'max') =>
  ({ kind: 'gauge', ...texts, labels, aggregator }) as const
