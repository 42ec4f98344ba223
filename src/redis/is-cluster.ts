// Tested by test/redis/topologies.slow.test.ts.
import type { Cluster, Redis } from 'ioredis'

/** Without `instanceof`: users of the consumer library may pass a client of another copy of ioredis. */
export const isCluster = (redis: Redis | Cluster): redis is Cluster => redis.isCluster
