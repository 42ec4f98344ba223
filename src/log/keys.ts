// Tested by test/log/append.test.ts
/**
 * The names of the log's keys in Redis. All keys of a partition share a hash tag, so that one script call can use
 * them on a Cluster.
 */
export interface PartitionKeys extends IndexKeys {
  readonly events: string
  readonly parked: string
  /** The message index: see message-index.ts. */
  readonly messages: IndexKeys & { readonly keyId: string; readonly filled: string }
}

/** The keys of an index that consists of generations: see dedupe-index.ts. */
export interface IndexKeys {
  /** The list of generations. */
  readonly generations: string
  /** The prefix of a generation's hashes; the number of the hash follows. */
  readonly bucketPrefix: (generation: number) => string
}

export function partitionKeys(prefix: string, partition: number): PartitionKeys {
  const messages = `${prefix}messages:{${partition}}:`
  return {
    events: `${prefix}events:{${partition}}`,
    parked: `${prefix}parked:{${partition}}`,
    ...indexKeys(`${prefix}dedupe:{${partition}}:`),
    messages: { ...indexKeys(messages), keyId: `${messages}key`, filled: `${messages}filled` }
  }
}

const indexKeys = (prefix: string): IndexKeys => ({
  generations: `${prefix}generations`,
  bucketPrefix: generation => `${prefix}${generation}:`
})

/** Here the service writes the number of partitions, for readers of the log. */
export const partitionCountKey = (prefix: string): string => `${prefix}partitions`

/** Here the service adds every number of partitions it has ever appended with, for searches by customer. */
export const partitionCountsKey = (prefix: string): string => `${prefix}partition-counts`

/** Here the service adds every source before it appends the first event of it, for searches by id. */
export const sourceNamesKey = (prefix: string): string => `${prefix}sources`

/** The names of a consumer group's keys in Redis, besides the groups of the streams. */
interface GroupKeys {
  /** The running members: see membership.lua. */
  readonly members: string
  /** The dead letters: see group/dead-letters.ts. */
  readonly dead: string
  /** The lease of a partition. On a Cluster it has the slot of the partition. */
  readonly lease: (partition: number) => string
  /** Set while acknowledged entries are pending again: see redeliver.lua. */
  readonly redeliver: (partition: number) => string
}

export function groupKeys(prefix: string, group: string): GroupKeys {
  return {
    members: `${prefix}members:${group}`,
    dead: `${prefix}dead:${group}`,
    lease: partition => `${prefix}lease:{${partition}}:${group}`,
    redeliver: partition => `${prefix}redeliver:{${partition}}:${group}`
  }
}
