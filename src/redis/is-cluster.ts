import type { Cluster, Redis } from 'ioredis'

/** Not by `instanceof`: a user of the consumer library may bring a client from another copy of ioredis. */
export const isCluster = (redis: Redis | Cluster): redis is Cluster => redis.isCluster
