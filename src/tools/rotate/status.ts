// Tested by test/tools/rotate/track-key.slow.test.ts and test/tools/rotate/webhook-key.test.ts.
import type { ReplicaKeys } from './replica-keys.ts'
import { dueAt, type TrackKeyRotation } from './track-key.ts'
import {
  canRetire,
  finishCommand,
  type NoRedis,
  type RotationRedis,
  type WebhookKeyRotation
} from './webhook-key.ts'

/** The rotations in progress, and what is due. */
export interface RotationStatus {
  readonly trackKey: TrackKeyStatus | undefined
  readonly webhookKeys: readonly WebhookKeyStatus[]
}

export type TrackKeyStatus = NonNullable<Awaited<ReturnType<typeof trackKeyStatus>>>
export type WebhookKeyStatus = NonNullable<Awaited<ReturnType<typeof webhookKeyStatus>>>

/** @returns `undefined` if no Track API key is configured */
export async function trackKeyStatus({
  apiKey,
  record,
  now
}: Pick<TrackKeyRotation, 'apiKey' | 'record' | 'now'>) {
  const { current, previous } = await apiKey.versions()
  if (current === undefined) return undefined
  const begun = (await record.read()).trackKey
  const known = begun?.newKey === current.id ? begun : undefined
  const revokeAfter = known && dueAt(known.switchedAt, known.drainSeconds)
  const due =
    previous !== undefined && revokeAfter !== undefined && Date.parse(revokeAfter) <= now().getTime()
  return {
    current: current.id,
    previous: previous?.id,
    switchedAt: known?.switchedAt,
    revokeAfter: previous && revokeAfter,
    due,
    advice:
      previous === undefined
        ? 'no rotation in progress'
        : due
          ? `revoke ${previous.id} at Customer.io, then: cio-webhook rotate finish`
          : revokeAfter === undefined
            ? `${previous.id} is kept, but no rotation is recorded: revoke it once nothing uses it, then: cio-webhook rotate finish`
            : `${previous.id} may be in use until ${revokeAfter}`
  }
}

/**
 * `seen`: the deliveries that each key has signed. `problem`: why Redis cannot be read, so that this is not known.
 *
 * @returns `undefined` if the source has no signing key
 */
export async function webhookKeyStatus(
  {
    source,
    signingKey,
    record,
    redis
  }: Pick<WebhookKeyRotation, 'source' | 'signingKey' | 'record'> & {
    readonly redis: Pick<RotationRedis, 'readKeys'> | NoRedis
  },
  quietSeconds: number
) {
  const { current, previous } = await signingKey.versions()
  if (current === undefined) return undefined
  const begun = (await record.read()).webhookKeys[source]
  const status = {
    source,
    current: current.id,
    previous: previous?.id,
    switchedAt: begun?.newKey === current.id ? begun.switchedAt : undefined
  }
  if ('problem' in redis) {
    const { problem } = redis
    return { ...status, replicas: undefined, seen: [], due: false, problem, advice: problem }
  }
  const replicaKeys = await redis.readKeys()
  const roles = [
    { key: current.id, role: 'current' as const },
    ...(previous === undefined ? [] : [{ key: previous.id, role: 'previous' as const }])
  ]
  const verdict =
    previous && canRetire(replicaKeys, { current: current.id, previous: previous.id }, quietSeconds)
  return {
    ...status,
    replicas: {
      all: replicaKeys.replicas.length,
      takingBoth: replicaKeys.replicas.filter(({ keys }) => roles.every(({ key }) => keys.includes(key)))
        .length
    },
    seen: roles.map(({ key, role }) => ({ key, role, ...seenOf(replicaKeys, key) })),
    due: verdict?.yes ?? false,
    problem: undefined,
    advice:
      verdict === undefined
        ? 'no rotation in progress'
        : verdict.yes
          ? `${verdict.why}: retire it: ${finishCommand(source)}`
          : verdict.why
  }
}

function seenOf({ keys }: ReplicaKeys, key: string) {
  const seen = keys.get(key)
  return {
    deliveries: seen?.count ?? 0,
    lastSeen: seen && new Date(seen.lastSeenMs).toISOString()
  }
}
