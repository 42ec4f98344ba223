// Tested by test/tools/leaks/detector.slow.test.ts.
import { hash, scryptSync } from 'node:crypto'

/** Shorter values show no characters at all. */
const SHOWN_FROM_LENGTH = 16

/** The printable form of a secret: its length, and of a long one the first and last two characters. */
export function mask(value: string): string {
  const { length } = value
  if (length < SHOWN_FROM_LENGTH) return `****(${length})`
  return `${value.slice(0, 2)}****${value.slice(-2)}(${length})`
}

/** 64 bits: enough to distinguish values, short enough for a baseline. */
const FINGERPRINT_HEX = 16
/** About 50 ms and 32 MiB per guess. */
const SCRYPT = { N: 2 ** 15, r: 8, maxmem: 64 * 1024 * 1024 } as const

/** Fingerprint of a key that a service generated: it is random, so a fast hash does not help to guess it. */
export function keyFingerprint(rule: string, value: string): string {
  return hash('sha256', `${rule}\0${value}`).slice(0, FINGERPRINT_HEX)
}

/**
 * Fingerprint of a configured value. It may be a password that a person chose, and fingerprints are committed and
 * printed, so a dictionary attack must be expensive.
 */
export function passwordFingerprint(value: string): string {
  return scryptSync(value, 'cio-webhook leaks', FINGERPRINT_HEX / 2, SCRYPT).toString('hex')
}
