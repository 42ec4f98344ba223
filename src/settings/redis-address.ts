import { join } from 'node:path'
import type { RedisTarget } from './config.ts'

/** Where the socket lies inside `DATA_DIR`. */
export const PRIVATE_SOCKET = join('redis', 'redis.sock')

/** A target that has an address: the private server's is known once it runs. */
export type RedisAddress = Exclude<RedisTarget, { kind: 'private' }>
