/**
 * The names of everything the log keeps in Redis. All keys of a partition share a hash tag, so that one script
 * call may touch them on a Cluster.
 */
export interface PartitionKeys {
  readonly events: string
  readonly parked: string
  /** The list of generations of what is remembered: see generations.ts. */
  readonly generations: string
  /** What the keys of one generation's hashes begin with; the hash's number follows. */
  readonly bucketPrefix: (generation: number) => string
}

export function partitionKeys(prefix: string, partition: number): PartitionKeys {
  const dedupe = `${prefix}dedupe:{${partition}}:`
  return {
    events: `${prefix}events:{${partition}}`,
    parked: `${prefix}parked:{${partition}}`,
    generations: `${dedupe}generations`,
    bucketPrefix: generation => `${dedupe}${generation}:`
  }
}
