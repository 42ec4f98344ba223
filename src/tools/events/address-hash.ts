import { hash } from 'node:crypto'
import { MAX_SUBJECT_LENGTH } from '../../receive/log-entry.ts'
import { compileDigest } from '../../sanitize/digest.ts'
import { maskId } from '../../sanitize/mask-id.ts'
import { addressOf } from '../../sanitize/mask-text.ts'

/** How the sanitizer writes addresses and ids: see docs/pii.md. */
export interface AddressHash {
  /** The hash of an e-mail address or a phone number, as in the fields `…_hash`; `undefined` if the text is neither. */
  ofAddress(text: string): string | undefined
  /** A customer id as the log can have it: as it is, and hashed if it is an address or contains one. */
  customerSubjects(customerId: string): readonly string[]
}

/** @param hashKey `PII_HASH_KEY` */
export function compileAddressHash(hashKey: string | undefined): AddressHash {
  const digest = compileDigest(hashKey)
  return {
    ofAddress: text => (addressOf(text) === undefined ? undefined : digest.ofValue(text)),
    customerSubjects: customerId =>
      [...new Set([customerId, maskId(customerId, digest)])].map(id =>
        id.length > MAX_SUBJECT_LENGTH ? hash('sha256', id) : id
      )
  }
}
