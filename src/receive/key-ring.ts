import type { Secret } from '../secret.ts'
import { type SecretVersions, sameSecret } from '../settings/secrets/secret-handle.ts'
import { type SigningKey, signingKey } from '../settings/sources.ts'

/** The signing keys that a source accepts now. */
export interface KeyRing {
  /** Current first; never empty. Called for each delivery. */
  keys(): readonly SigningKey[]
  /**
   * Applies what the secret store holds now. A replaced current key stays accepted as a previous one, even if the store
   * does not list it, so that deliveries signed with it are not refused. It is dropped when the store drops its previous
   * key, or with the process. Without a current key nothing changes.
   */
  observe(versions: SecretVersions): void
  /** The store now holds the replaced key as its previous one: drop it as soon as the store drops it. */
  previousStored(): void
}

/** Replaced keys that stay accepted: one during a rotation, two if it was started again. */
const MAX_REPLACED = 3

export function createKeyRing(initial: readonly SigningKey[]): KeyRing {
  let keys = initial
  /** Former current keys, newest first. */
  let replaced: readonly Secret[] = initial.slice(1).map(key => key.secret)
  let previousSeen = false

  return {
    keys: () => keys,
    previousStored: () => {
      previousSeen = true
    },
    observe({ current, previous }) {
      const inUse = keys[0]?.secret
      if (current === undefined || inUse === undefined) return
      if (previous === undefined && previousSeen) replaced = []
      previousSeen = previous !== undefined
      if (!current.equals(inUse)) replaced = [inUse, ...replaced].slice(0, MAX_REPLACED)
      const others = distinct([...replaced, ...(previous === undefined ? [] : [previous])], current)
      keys = [signingKey('current', current), ...others.map(secret => signingKey('previous', secret))]
    }
  }
}

const distinct = (secrets: readonly Secret[], other: Secret): readonly Secret[] =>
  secrets.filter(
    (secret, index) =>
      !secret.equals(other) && secrets.findIndex(earlier => sameSecret(earlier, secret)) === index
  )
