import type { SecretHandle } from '../../settings/secrets/secret-handle.ts'
import { strayCharacters } from '../../settings/secrets/stray-characters.ts'
import {
  compareKeys,
  findNewKey,
  type NewSecret,
  recordSwitch,
  retireKey,
  versionsInUse
} from './key-steps.ts'
import { type ReplicaKeys, watchReplicaKeys } from './replica-keys.ts'
import { NOTHING_CHANGED, type RotationReport, RotationStopped, reportSteps } from './report.ts'
import type { RotationRecord } from './state.ts'

export interface WebhookKeyRotation {
  readonly source: string
  readonly signingKey: SecretHandle
  readonly record: RotationRecord
  readonly redis: RotationRedis | NoRedis
  readonly now: () => Date
}

export interface RotationRedis {
  readKeys(): Promise<ReplicaKeys>
  /** @returns the number of parked deliveries of the source that are sealed with a key */
  countSealed(keyId: string): Promise<number>
}

export interface NoRedis {
  /** Why Redis cannot be read, in one sentence. */
  readonly problem: string
}

interface WebhookKeyOptions {
  readonly newKey: NewSecret
  /** How long the old key must not have been seen before it can be retired. */
  readonly quietSeconds: number
  /** How long to wait until every replica accepts both keys. */
  readonly waitMs: number
  readonly dryRun: boolean
}

/** Puts a new signing key beside the old one in every replica. Both are accepted until `finish`. */
export function rotateWebhookKey(
  { source, signingKey, record, redis, now }: WebhookKeyRotation,
  { newKey, quietSeconds, waitMs, dryRun }: WebhookKeyOptions
): Promise<RotationReport> {
  return reportSteps(async steps => {
    const state = await record.read()
    const inUse = await steps.run('read the key in use', async () => {
      const versions = await versionsInUse(signingKey)
      return [versions, `${versions.current.id}, from ${signingKey.place}`]
    })
    const { current, previous } = inUse
    const fresh = await steps.run('read the new key', async () => {
      const instruction = 'Put the signing key of the new webhook'
      const found = await findNewKey(newKey, signingKey, inUse.pending, instruction)
      const problem = strayCharacters(found[0].reveal())
      if (problem === undefined) return found
      throw new RotationStopped('failed', `the new key can't be right: ${problem}`, [
        'Put the signing key there as Customer.io shows it, and run this again.',
        NOTHING_CHANGED
      ])
    })
    const next = [
      `Let Customer.io sign with the new key (${fresh.id}): both keys are accepted.`,
      'Watch with `cio-webhook rotate status`: it says when the old key can be retired.',
      `Then: \`${finishCommand(source)}\`.`
    ]

    const isInUse = fresh.equals(current)
    if (isInUse) {
      await steps.run('compare', async () => [undefined, 'the new key is in use already'])
    } else {
      await compareKeys(steps, inUse, finishCommand(source))
      if (dryRun) return steps.done('would_do', ['To switch, run this again without --dry-run.'])
      await steps.run('put the new key beside the old', async () => {
        await signingKey.promote(fresh)
        return [undefined, `${fresh.id} is the current key, ${current.id} the previous one`]
      })
      const switchedAt = now().toISOString()
      const entry = { switchedAt, oldKey: current.id, newKey: fresh.id, quietSeconds }
      const webhookKeys = { ...state.webhookKeys, [source]: entry }
      await recordSwitch(steps, record, switchedAt, { ...state, webhookKeys })
    }

    const old = isInUse ? previous : current
    const both = old === undefined ? [fresh.id] : [fresh.id, old.id]
    await steps.run('wait for the replicas', async () => [
      undefined,
      await waitForReplicas(redis, both, waitMs, signingKey.place)
    ])
    return steps.done(isInUse ? 'nothing_to_do' : 'done', next)
  })
}

/** @throws RotationStopped if not every replica accepts the keys in time */
async function waitForReplicas(
  redis: RotationRedis | NoRedis,
  keyIds: readonly string[],
  waitMs: number,
  place: string
): Promise<string> {
  if ('problem' in redis) return `${redis.problem}; check that each replica has logged the change`
  const holdsAll = ({ keys }: ReplicaKeys['replicas'][number]) => keyIds.every(id => keys.includes(id))
  const isDone = ({ replicas }: ReplicaKeys): boolean => replicas.length > 0 && replicas.every(holdsAll)
  const last = await watchReplicaKeys(redis.readKeys, isDone, waitMs)
  const ready = last.replicas.filter(holdsAll).length
  const detail = `${ready} of ${last.replicas.length} take both keys`
  if (isDone(last)) return detail
  const behind = last.replicas.filter(replica => !holdsAll(replica)).map(({ replica }) => replica)
  throw new RotationStopped('failed', detail, [
    behind.length === 0
      ? 'No replica reports: is the service running, with this Redis and CIO_KEY_PREFIX?'
      : `Not yet: ${behind.join(', ')}. Do they read ${place}?`,
    'Do not let Customer.io sign with the new key yet; run this command again, it continues from here.'
  ])
}

interface FinishOptions {
  readonly quietSeconds: number
  readonly waitMs: number
  /** Do not check whether the old key is still in use: for a key that has leaked, say. */
  readonly force: boolean
  readonly dryRun: boolean
}

/** Retires the old signing key once no delivery was signed with it for long enough. */
export function finishWebhookKey(
  rotation: WebhookKeyRotation,
  { quietSeconds, waitMs, force, dryRun }: FinishOptions
): Promise<RotationReport> {
  const { source, signingKey, record, redis } = rotation
  return reportSteps(async steps => {
    const state = await record.read()
    const { current, previous } = await signingKey.versions()
    if (current === undefined || previous === undefined) {
      await steps.run('read the old key', async () => [undefined, `none is kept at ${signingKey.place}`])
      return steps.done('nothing_to_do', [])
    }
    if (!force) {
      await steps.run('check the deliveries', async () => {
        if ('problem' in redis) {
          throw new RotationStopped('impossible', redis.problem, [
            'Set REDIS_URL as for the service, or use --now to skip this check.'
          ])
        }
        const ids = { current: current.id, previous: previous.id }
        const verdict = canRetire(await redis.readKeys(), ids, quietSeconds)
        if (verdict.yes) return [undefined, verdict.why]
        throw new RotationStopped('failed', verdict.why, [
          'Wait, and run this again; `cio-webhook rotate status` shows the deliveries. --now skips this check.',
          'Nothing was changed: both keys are accepted.'
        ])
      })
    }
    const sealed = 'problem' in redis ? 0 : await redis.countSealed(previous.id)
    if (sealed > 0) {
      await steps.run('check the parked deliveries', async () => [
        undefined,
        `WARNING: ${sealed} sealed with the old key: they cannot be opened without it`
      ])
    }
    const warnings =
      sealed === 0
        ? []
        : [
            `Keep a copy of the old key (${previous.id}), or process the parked deliveries first (\`cio-webhook consumers parked\`).`
          ]
    if (dryRun)
      return steps.done('would_do', [...warnings, 'To retire the old key, run this again without --dry-run.'])

    const { [source]: begun, ...webhookKeys } = state.webhookKeys
    const finished = {
      ...{ what: `webhook-key ${source}`, oldKey: previous.id, newKey: current.id },
      switchedAt: begun?.switchedAt ?? 'unknown'
    }
    await retireKey(steps, rotation, [signingKey], finished, { ...state, webhookKeys })
    if (!('problem' in redis)) {
      await steps.run('wait for the replicas', async () => {
        const holding = ({ replicas }: ReplicaKeys): number =>
          replicas.filter(({ keys }) => keys.includes(previous.id)).length
        const last = await watchReplicaKeys(redis.readKeys, keys => holding(keys) === 0, waitMs)
        const left = holding(last)
        return [undefined, left === 0 ? 'none takes the old key' : `${left} still take the old key`]
      })
    }
    return steps.done('done', [...warnings, 'Delete the old webhook at Customer.io, if it is still there.'])
  })
}

/**
 * The old key can be retired when the new one has been seen, and the old one not for `quietSeconds`, by the clock of
 * Redis.
 */
export function canRetire(
  { nowMs, keys }: ReplicaKeys,
  ids: { readonly current: string; readonly previous: string },
  quietSeconds: number
): { readonly yes: boolean; readonly why: string } {
  const seenNew = keys.get(ids.current)
  const seenOld = keys.get(ids.previous)
  if (seenNew === undefined) return { yes: false, why: `no delivery with the new key ${ids.current} yet` }
  if (seenOld === undefined) return { yes: true, why: `no delivery with the old key ${ids.previous} ever` }
  const quiet = Math.floor((nowMs - seenOld.lastSeenMs) / 1000)
  const why = `the old key ${ids.previous} was last seen ${quiet} s ago, required are ${quietSeconds} s`
  return { yes: quiet >= quietSeconds, why }
}

export const finishCommand = (source: string): string =>
  `cio-webhook rotate finish webhook-key${source === 'default' ? '' : ` --source ${source}`}`
