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

/** Where the service writes how many partitions the log has, for those who read it. */
export const partitionCountKey = (prefix: string): string => `${prefix}partitions`

/** The names of what a consumer group keeps in Redis, besides its place in each stream. */
export interface GroupKeys {
  /** Who works for the group at the moment. */
  readonly members: string
  /** What failed too often: see dead-letter.ts. */
  readonly dead: string
  /** The right to work a partition. On a Cluster it is where the partition is. */
  readonly lease: (partition: number) => string
}

export function groupKeys(prefix: string, group: string): GroupKeys {
  return {
    members: `${prefix}members:${group}`,
    dead: `${prefix}dead:${group}`,
    lease: partition => `${prefix}lease:{${partition}}:${group}`
  }
}
