import type { Sightings } from './replica-keys.ts'
import { dueAt, type TrackKeyRotation } from './track-key.ts'
import { mayGo, type WebhookKeyRotation } from './webhook-key.ts'

/** What is under way, and what is due. */
export interface RotationStatus {
  readonly trackKey: TrackKeyStatus | undefined
  readonly webhookKeys: readonly WebhookKeyStatus[]
}

export interface TrackKeyStatus {
  readonly current: string
  readonly previous: string | undefined
  readonly switchedAt: string | undefined
  readonly revokeAfter: string | undefined
  readonly due: boolean
  readonly advice: string
}

export interface WebhookKeyStatus {
  readonly source: string
  readonly current: string
  readonly previous: string | undefined
  readonly switchedAt: string | undefined
  readonly replicas: { readonly all: number; readonly takingBoth: number } | undefined
  readonly seen: readonly KeySeen[]
  readonly due: boolean
  readonly advice: string
}

export interface KeySeen {
  readonly key: string
  readonly role: 'current' | 'previous'
  readonly deliveries: number
  readonly lastSeen: string | undefined
}

export async function trackKeyStatus(rotation: TrackKeyRotation): Promise<TrackKeyStatus | undefined> {
  const { current, previous } = await rotation.apiKey.versions()
  if (current === undefined) return undefined
  const begun = (await rotation.record.read()).trackKey
  const known = begun?.newKey === current.id ? begun : undefined
  const revokeAfter = known && dueAt(known.switchedAt, known.drainSeconds)
  const due =
    previous !== undefined && revokeAfter !== undefined && Date.parse(revokeAfter) <= rotation.now().getTime()
  return {
    current: current.id,
    previous: previous?.id,
    switchedAt: known?.switchedAt,
    revokeAfter: previous && revokeAfter,
    due,
    advice:
      previous === undefined
        ? 'nothing under way'
        : due
          ? `revoke ${previous.id} at Customer.io, then: cio-webhook rotate finish`
          : revokeAfter === undefined
            ? `${previous.id} is kept, no rotation here has put it there: revoke it once nothing uses it, then: cio-webhook rotate finish`
            : `${previous.id} drains until ${revokeAfter}`
  }
}

export async function webhookKeyStatus(
  rotation: WebhookKeyRotation,
  quietSeconds: number
): Promise<WebhookKeyStatus | undefined> {
  const { current, previous } = await rotation.signingKey.versions()
  if (current === undefined) return undefined
  const begun = (await rotation.record.read()).webhookKeys[rotation.source]
  const sightings = await rotation.sightings?.()
  const roles = [
    { key: current.id, role: 'current' as const },
    ...(previous === undefined ? [] : [{ key: previous.id, role: 'previous' as const }])
  ]
  const verdict =
    previous === undefined
      ? undefined
      : sightings && mayGo(sightings, { current: current.id, previous: previous.id }, { quietSeconds })
  const finish = `cio-webhook rotate finish webhook-key${rotation.source === 'default' ? '' : ` --source ${rotation.source}`}`
  return {
    source: rotation.source,
    current: current.id,
    previous: previous?.id,
    switchedAt: begun?.newKey === current.id ? begun.switchedAt : undefined,
    replicas: sightings && {
      all: sightings.replicas.length,
      takingBoth: sightings.replicas.filter(({ keys }) => roles.every(({ key }) => keys.includes(key))).length
    },
    seen: roles.map(({ key, role }) => ({ key, role, ...seenOf(sightings, key) })),
    due: verdict?.yes ?? false,
    advice:
      previous === undefined
        ? 'nothing under way'
        : verdict === undefined
          ? 'no Redis to ask which key deliveries match'
          : verdict.yes
            ? `${verdict.why}: it may go: ${finish}`
            : verdict.why
  }
}

function seenOf(sightings: Sightings | undefined, key: string) {
  const seen = sightings?.keys.get(key)
  return {
    deliveries: seen?.count ?? 0,
    lastSeen: seen && new Date(seen.lastSeenMs).toISOString()
  }
}
