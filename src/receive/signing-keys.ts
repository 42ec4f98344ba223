import { setTimeout as sleep } from 'node:timers/promises'
import { createPollingLoop } from '../async/poll.ts'
import { ConfigError } from '../errors.ts'
import type { Logger } from '../ops/logger.ts'
import type { Secret } from '../secret.ts'
import { type SecretHandle, type Secrets, sameSecret } from '../settings/secrets/secret-handle.ts'
import { strayCharacters } from '../settings/secrets/stray-characters.ts'
import { checkSigningKey, type Source, signingKeyName } from '../settings/sources.ts'
import { createKeyRing, type KeyRing } from './key-ring.ts'

/** The sources, with signing keys that follow their store: a file, or the secrets provider. */
export interface SigningKeys {
  /** Each source's `keys` are always the ones accepted now. */
  readonly sources: ReadonlyMap<string, Source>
  /** Reads every key once. Never rejects. */
  refresh(): Promise<void>
  /** Reads them again and again: files each second, a provider as often as configured. */
  start(): void
  stop(): void
}

interface SigningKeysOptions {
  readonly sources: ReadonlyMap<string, Source>
  readonly secrets: Secrets
  readonly log: Logger
  /** Called when the keys of a source have changed. */
  readonly onChange: () => void
}

/** A changed file may be half written, or empty. So a new key, or the end of the previous one, must be read twice, this far apart. */
const SETTLE_MS = 50

interface WatchedSource {
  readonly source: Source
  readonly ring: KeyRing
  readonly stored: SecretHandle | undefined
  /** What the store had as the previous key when it was read last. */
  previous: Secret | undefined
  /** The problem that was logged last, until it is solved. */
  reported: string | undefined
}

export function watchSigningKeys({ sources, secrets, log, onChange }: SigningKeysOptions): SigningKeys {
  const watched = [...sources.values()].map((source): WatchedSource => {
    const ring = createKeyRing(source.keys)
    const stored = secrets.find(signingKeyName(source.name))
    return { source, ring, stored, previous: undefined, reported: undefined }
  })
  const loops = watched.flatMap(one => {
    const refreshMs = one.stored?.refreshMs
    return refreshMs === undefined ? [] : [createPollingLoop(() => refresh(one), refreshMs)]
  })

  return {
    sources: new Map(watched.map(({ source, ring }) => [source.name, withRing(source, ring)])),
    refresh: async () => {
      await Promise.all(watched.map(refresh))
    },
    start: () => {
      for (const loop of loops) loop.start()
    },
    stop: () => {
      for (const loop of loops) void loop.stop()
    }
  }

  async function refresh(one: WatchedSource): Promise<void> {
    const { source, ring, stored } = one
    if (stored === undefined) return
    try {
      let versions = await stored.versions()
      const inUse = ring.keys()[0]?.secret
      const isReplaced = versions.current !== undefined && !sameSecret(versions.current, inUse)
      const isDropped = one.previous !== undefined && !sameSecret(versions.previous, one.previous)
      if (isReplaced || isDropped) {
        await sleep(SETTLE_MS)
        const again = await stored.versions()
        if (!areEqual(again.current, versions.current) || !areEqual(again.previous, versions.previous)) return // still being written
        versions = again
      }
      if (versions.current === undefined)
        throw new Error('the file or stored secret of a signing key is empty')
      checkSigningKey(stored.place, versions.current.reveal())

      const before = idsOf(ring)
      one.previous = versions.previous
      ring.observe({ ...versions, previous: usablePrevious(one, versions.previous) })
      if (idsOf(ring) === before) return
      log.info({ source: source.name, keys: idsOf(ring) }, 'the signing keys of a source have changed')
      onChange()
      if (inUse !== undefined && !sameSecret(versions.current, inUse)) await storePrevious(one, inUse)
    } catch (error) {
      reportOnce(one, error)
    }
  }

  /** A previous key with stray characters changes nothing: the one in use stays. */
  function usablePrevious(one: WatchedSource, previous: Secret | undefined): Secret | undefined {
    const problem = previous === undefined ? undefined : strayCharacters(previous.reveal())
    if (problem === undefined) {
      one.reported = undefined
      return previous
    }
    reportOnce(one, new ConfigError(`the previous key: ${problem}`))
    return one.ring.keys()[1]?.secret
  }

  function reportOnce(one: WatchedSource, error: unknown): void {
    const problem = String(error)
    if (problem === one.reported) return
    one.reported = problem
    const line = { source: one.source.name, place: one.stored?.place, err: error }
    log.error(line, 'cannot re-read a signing key; keeping the current one')
  }

  /** Otherwise a restart would refuse deliveries that are signed with the replaced key. */
  async function storePrevious({ source, ring, stored }: WatchedSource, replaced: Secret): Promise<void> {
    const versions = await stored?.versions()
    if (sameSecret(versions?.previous, replaced) || (await stored?.keepPrevious(replaced))) {
      ring.previousStored()
      return
    }
    log.warn(
      { source: source.name, place: stored?.place },
      'the replaced signing key is accepted until this process ends: it cannot be written to its store as the previous key'
    )
  }
}

const areEqual = (one: Secret | undefined, other: Secret | undefined): boolean =>
  one === other || sameSecret(one, other)

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
