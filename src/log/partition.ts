import { hash } from 'node:crypto'

/** The partition of whatever must stay in order with its like: the same key always gets the same one. */
export function partitionOf(key: string, partitions: number): number {
  if (partitions === 1) return 0
  return hash('sha256', key, 'buffer').readUInt32BE(0) % partitions
}
