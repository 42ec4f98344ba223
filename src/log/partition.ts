import { hash } from 'node:crypto'

/** The partition of whatever must stay in order with its like: the same key always gets the same one. */
export function partitionOf(key: string, partitions: number): number {
  if (partitions === 1) return 0
  return Number.parseInt(hash('sha256', key, 'hex').slice(0, 8), 16) % partitions
}
