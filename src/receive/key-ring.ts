import type { Secret } from '../secret.ts'
import { type SecretVersions, sameSecret } from '../settings/secrets/secret-handle.ts'
import { type SigningKey, signingKey } from '../settings/sources.ts'

/** The signing keys of a source as they are now. */
export interface KeyRing {
  /** Current first; never empty. Cheap: asked at every delivery. */
  keys(): readonly SigningKey[]
  /**
   * Takes up what the secret's place holds now. A current key that was replaced stays as a previous one, told or
   * not, so that whoever still signs with it is not refused; it goes when the place lets go of its previous key,
   * or with the process. Without a current key nothing changes.
   */
  observe(versions: SecretVersions): void
  /** The place has got the replaced key as its previous one: when it is no longer there, it is let go. */
  previousStored(): void
}

/** Replaced keys that still count: a rotation has one, one that was begun again has two. */
const MAX_REPLACED = 3

export function createKeyRing(initial: readonly SigningKey[]): KeyRing {
  let keys = initial
  /** Keys that were in use and that nobody has let go of, newest first. */
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

function distinct(secrets: readonly Secret[], other: Secret): readonly Secret[] {
  return secrets.filter(
    (secret, index) =>
      !secret.equals(other) && secrets.findIndex(earlier => sameSecret(earlier, secret)) === index
  )
}
