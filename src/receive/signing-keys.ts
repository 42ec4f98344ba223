import { setTimeout as sleep } from 'node:timers/promises'
import { createPollingLoop } from '../async/poll.ts'
import { ConfigError } from '../errors.ts'
import type { Logger } from '../ops/logger.ts'
import type { Secret } from '../secret.ts'
import { type SecretHandle, type Secrets, sameSecret } from '../settings/secrets/secret-handle.ts'
import { strayCharacters } from '../settings/secrets/stray-characters.ts'
import { checkSigningKey, type Source, signingKeyName } from '../settings/sources.ts'
import { createKeyRing, type KeyRing } from './key-ring.ts'

/** The sources with keys that follow their places: a file, or the secrets provider. */
export interface SigningKeys {
  /** The same sources; each one's `keys` are always those of now. */
  readonly sources: ReadonlyMap<string, Source>
  /** Looks at every place once. Never rejects. */
  refresh(): Promise<void>
  /** Looks again and again: files each second, a provider as often as configured. */
  start(): void
  stop(): void
}

export interface SigningKeysOptions {
  readonly sources: ReadonlyMap<string, Source>
  readonly secrets: Secrets
  readonly log: Logger
  /** Told when the keys of a source are others than before. */
  readonly onChange: () => void
}

/** A changed file may be half written: it counts once it has read the same twice, this far apart. */
const SETTLE_MS = 50

interface Followed {
  readonly source: Source
  readonly ring: KeyRing
  readonly stored: SecretHandle | undefined
  /** The problem with its place that is logged already. */
  reported: string | undefined
}

export function watchSigningKeys({ sources, secrets, log, onChange }: SigningKeysOptions): SigningKeys {
  const followed = [...sources.values()].map((source): Followed => {
    const ring = createKeyRing(source.keys)
    return { source, ring, stored: secrets.find(signingKeyName(source.name)), reported: undefined }
  })
  const loops = followed.flatMap(one => {
    const refreshMs = one.stored?.refreshMs
    return refreshMs === undefined ? [] : [createPollingLoop(() => look(one), refreshMs)]
  })

  return {
    sources: new Map(followed.map(({ source, ring }) => [source.name, withRing(source, ring)])),
    refresh: async () => {
      await Promise.all(followed.map(look))
    },
    start: () => {
      for (const loop of loops) loop.start()
    },
    stop: () => {
      for (const loop of loops) void loop.stop()
    }
  }

  async function look(one: Followed): Promise<void> {
    const { source, ring, stored } = one
    if (stored === undefined) return
    try {
      let versions = await stored.versions()
      const inUse = ring.keys()[0]?.secret
      if (versions.current !== undefined && !sameSecret(versions.current, inUse)) {
        await sleep(SETTLE_MS)
        const again = await stored.versions()
        if (!sameSecret(again.current, versions.current)) return // Still being written: the next look will tell.
        versions = again
      }
      if (versions.current === undefined) throw new Error('the place of a signing key is empty')

      checkSigningKey(stored.place, versions.current.reveal())

      const before = idsOf(ring)
      ring.observe({ ...versions, previous: usablePrevious(one, versions.previous) })
      if (idsOf(ring) === before) return
      log.info({ source: source.name, keys: idsOf(ring) }, 'the signing keys of a source have changed')
      onChange()
      if (inUse !== undefined && !sameSecret(versions.current, inUse)) await keep(one, inUse)
    } catch (error) {
      reportOnce(one, error)
    }
  }

  /** A previous key with stray characters changes nothing: the one that is in use stays in use. */
  function usablePrevious(one: Followed, previous: Secret | undefined): Secret | undefined {
    const problem = previous === undefined ? undefined : strayCharacters(previous.reveal())
    if (problem === undefined) {
      one.reported = undefined
      return previous
    }
    reportOnce(one, new ConfigError(`the previous key: ${problem}`))
    return one.ring.keys()[1]?.secret
  }

  function reportOnce(one: Followed, error: unknown): void {
    const problem = String(error)
    if (problem === one.reported) return
    one.reported = problem
    const line = { source: one.source.name, place: one.stored?.place, err: error }
    log.error(line, 'a signing key can not be read again: the last one stays in use')
  }

  /** A replaced key is also kept at its place, or the next restart would refuse what is signed with it. */
  async function keep({ source, ring, stored }: Followed, replaced: Secret): Promise<void> {
    const versions = await stored?.versions()
    if (sameSecret(versions?.previous, replaced) || (await stored?.keepPrevious(replaced))) {
      ring.keptAtPlace()
      return
    }
    log.warn(
      { source: source.name, place: stored?.place },
      'the replaced signing key is kept in memory only, until this process ends: its place can not be written'
    )
  }
}

const idsOf = (ring: KeyRing): string =>
  ring
    .keys()
    .map(key => key.id)
    .join(',')

const withRing = (source: Source, ring: KeyRing): Source => ({
  ...source,
  get keys() {
    return ring.keys()
  }
})
