import type { SecretHandle } from '../../settings/secrets/secret-handle.ts'
import { strayCharacters } from '../../settings/secrets/stray-characters.ts'
import { type Sightings, watchSightings } from './replica-keys.ts'
import { type RotationReport, RotationStopped, reportSteps } from './report.ts'
import type { RotationRecord } from './state.ts'

export interface WebhookKeyRotation {
  readonly source: string
  readonly signingKey: SecretHandle
  readonly record: RotationRecord
  /** What the replicas say; `undefined` where there is no Redis to ask. */
  readonly sightings: (() => Promise<Sightings>) | undefined
  readonly now: () => Date
}

export interface WebhookKeyOptions {
  readonly newKey: SecretHandle | undefined
  /** How long the old key must not have been seen before it may go. */
  readonly quietSeconds: number
  /** How long to wait until every replica takes both keys. */
  readonly waitMs: number
  readonly dryRun: boolean
}

const NOTHING_CHANGED = 'Nothing was changed.'

/** Puts a new signing key beside the old one in every replica. From then on both are taken, until `finish`. */
export function rotateWebhookKey(
  rotation: WebhookKeyRotation,
  options: WebhookKeyOptions
): Promise<RotationReport> {
  const { source, signingKey, record, sightings, now } = rotation
  return reportSteps(async steps => {
    const state = await record.read()
    const { current, previous, pending } = await steps.run('read the key in use', async () => {
      const versions = await signingKey.versions()
      if (versions.current === undefined) {
        throw new RotationStopped('impossible', `nothing at ${signingKey.place}`, [NOTHING_CHANGED])
      }
      return [{ ...versions, current: versions.current }, `${versions.current.id}, from ${signingKey.place}`]
    })
    const fresh = await steps.run('read the new key', async () => {
      const key = (await options.newKey?.versions())?.current ?? pending
      if (key === undefined) {
        throw new RotationStopped('impossible', `nothing at ${options.newKey?.place ?? 'any place known'}`, [
          'Put the signing key of the new webhook there and run this again.',
          NOTHING_CHANGED
        ])
      }
      const problem = strayCharacters(key.reveal())
      if (problem !== undefined) {
        throw new RotationStopped('failed', `the new key can't be right: ${problem}`, [
          'Put the signing key there as Customer.io shows it, and run this again.',
          NOTHING_CHANGED
        ])
      }
      return [key, `${key.id}${options.newKey === undefined ? '' : `, from ${options.newKey.place}`}`]
    })
    const next = [
      `Let Customer.io sign with the new key (${fresh.id}): deliveries with either are taken.`,
      'Watch with `cio-webhook rotate status`; it says when the old key may go.',
      `Then: \`cio-webhook rotate finish webhook-key${source === 'default' ? '' : ` --source ${source}`}\`.`
    ]

    const already = fresh.equals(current)
    if (!already) {
      await steps.run('compare', async () => {
        if (previous !== undefined && !previous.equals(current)) {
          throw new RotationStopped('failed', `the key before, ${previous.id}, still counts`, [
            'Finish that rotation first: `cio-webhook rotate finish webhook-key`.',
            NOTHING_CHANGED
          ])
        }
        return [undefined, 'the new key is another one']
      })
      if (options.dryRun) return steps.done('would_do', ['A dry run: nothing was changed.', ...next])
      await steps.run('put the new key beside the old', async () => {
        await signingKey.setActive(fresh)
        return [undefined, `${fresh.id} is the current key, ${current.id} the previous one`]
      })
      await steps.run('record', async () => {
        const switchedAt = now().toISOString()
        const ids = { oldKey: current.id, newKey: fresh.id }
        const entry = { switchedAt, ...ids, quietSeconds: options.quietSeconds }
        await record.write({ ...state, webhookKeys: { ...state.webhookKeys, [source]: entry } })
        return [undefined, `switched at ${switchedAt}`]
      })
    } else {
      await steps.run('compare', async () => [undefined, 'the new key is in use already'])
    }

    const both = already
      ? [fresh.id, ...(previous === undefined ? [] : [previous.id])]
      : [fresh.id, current.id]
    await steps.run('wait for the replicas', async () => {
      if (sightings === undefined) {
        return [undefined, 'no Redis to ask: look whether each of them has logged the change']
      }
      const holds = ({ keys }: Sightings['replicas'][number]) => both.every(id => keys.includes(id))
      const all = (seen: Sightings): boolean => seen.replicas.length > 0 && seen.replicas.every(holds)
      const seen = await watchSightings(sightings, all, options.waitMs)
      const ready = seen.replicas.filter(holds).length
      if (!all(seen)) {
        const behind = seen.replicas.filter(replica => !holds(replica)).map(({ replica }) => replica)
        throw new RotationStopped('failed', `${ready} of ${seen.replicas.length} take both keys`, [
          behind.length === 0
            ? 'No replica reports: is the service running, with this Redis and CIO_KEY_PREFIX?'
            : `Not yet: ${behind.join(', ')}. Do they read ${signingKey.place}?`,
          'Do not let Customer.io sign with the new key yet; run this command again, it goes on from here.'
        ])
      }
      return [undefined, `${ready} of ${seen.replicas.length} take both keys`]
    })
    return steps.done(already ? 'nothing_to_do' : 'done', next)
  })
}

export interface FinishOptions {
  readonly quietSeconds: number
  readonly waitMs: number
  /** Do not ask whether the old key is still in use: it is known to others, say. */
  readonly atOnce: boolean
  readonly dryRun: boolean
}

/** Lets go of the old signing key once nobody has signed with it for long enough. */
export function finishWebhookKey(
  rotation: WebhookKeyRotation,
  options: FinishOptions
): Promise<RotationReport> {
  const { source, signingKey, record, sightings, now } = rotation
  return reportSteps(async steps => {
    const state = await record.read()
    const { current, previous } = await signingKey.versions()
    if (current === undefined || previous === undefined) {
      await steps.run('read the old key', async () => [undefined, `none is kept at ${signingKey.place}`])
      return steps.done('nothing_to_do', [])
    }
    const begun = state.webhookKeys[source]
    if (!options.atOnce) {
      await steps.run('look at the deliveries', async () => {
        if (sightings === undefined) {
          throw new RotationStopped('impossible', 'no Redis to ask', [
            'Set REDIS_URL as for the service, or say --now if you know.'
          ])
        }
        const verdict = mayGo(await sightings(), { current: current.id, previous: previous.id }, options)
        if (!verdict.yes) {
          throw new RotationStopped('failed', verdict.why, [
            'Wait, and run this again; `cio-webhook rotate status` shows the deliveries. --now does not ask.',
            'Nothing was changed: both keys are taken.'
          ])
        }
        return [undefined, verdict.why]
      })
    }
    if (options.dryRun) return steps.done('would_do', ['A dry run: the old key would be let go now.'])
    await steps.run('let go of the old key', async () => {
      await signingKey.forgetPrevious()
      const { [source]: _, ...webhookKeys } = state.webhookKeys
      const entry = {
        what: `webhook-key ${source}`,
        newKey: current.id,
        switchedAt: begun?.switchedAt ?? 'unknown',
        finishedAt: now().toISOString()
      }
      await record.write({ ...state, webhookKeys, history: [...state.history, entry] })
      return [undefined, `${previous.id} is gone, ${current.id} is in use`]
    })
    if (sightings !== undefined) {
      await steps.run('wait for the replicas', async () => {
        const done = (seen: Sightings): boolean =>
          seen.replicas.every(({ keys }) => !keys.includes(previous.id))
        const seen = await watchSightings(sightings, done, options.waitMs)
        const left = seen.replicas.filter(({ keys }) => keys.includes(previous.id)).length
        return [undefined, left === 0 ? 'none takes the old key' : `${left} still take the old key`]
      })
    }
    return steps.done('done', [`Delete the old webhook at Customer.io, if it is still there.`])
  })
}

/**
 * May the old key go? Only when the new one has been seen, and the old one not for `quietSeconds`, by the clock
 * of Redis.
 */
export function mayGo(
  { nowMs, keys }: Sightings,
  ids: { readonly current: string; readonly previous: string },
  { quietSeconds }: { readonly quietSeconds: number }
): { readonly yes: boolean; readonly why: string } {
  const seenNew = keys.get(ids.current)
  const seenOld = keys.get(ids.previous)
  if (seenNew === undefined) return { yes: false, why: `no delivery with the new key ${ids.current} yet` }
  if (seenOld === undefined) return { yes: true, why: `no delivery with the old key ${ids.previous} ever` }
  const quiet = Math.floor((nowMs - seenOld.lastSeenMs) / 1000)
  const why = `the old key ${ids.previous} was seen last ${quiet} s ago, ${quietSeconds} s are asked for`
  return { yes: quiet >= quietSeconds, why }
}
