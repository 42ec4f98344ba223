import { hash, scryptSync } from 'node:crypto'

/** Fewer characters than this show none of theirs. */
const SHOWN_FROM_LENGTH = 16

/** What of a secret may be shown: the first two and the last two characters of a long one, and its length. */
export function mask(value: string): string {
  const { length } = value
  if (length < SHOWN_FROM_LENGTH) return `****(${length})`
  return `${value.slice(0, 2)}****${value.slice(-2)}(${length})`
}

/** 64 bits: enough to tell values apart, and a baseline that was made with it stays short. */
const FINGERPRINT_HEX = 16
/** About 50 ms and 32 MiB a guess. */
const SCRYPT = { N: 2 ** 15, r: 8, maxmem: 64 * 1024 * 1024 } as const

/** Tells a key of some service apart from others. Such a key is random: nobody finds it by trying. */
export function keyFingerprint(rule: string, value: string): string {
  return hash('sha256', `${rule}\0${value}`).slice(0, FINGERPRINT_HEX)
}

/**
 * Tells a configured value apart from others. It may be a password that somebody made up, and fingerprints are
 * committed and shown: so trying out a dictionary is made dear.
 */
export function passwordFingerprint(value: string): string {
  return scryptSync(value, 'cio-webhook leaks', FINGERPRINT_HEX / 2, SCRYPT).toString('hex')
}
