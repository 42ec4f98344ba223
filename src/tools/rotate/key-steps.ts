// Tested by test/tools/rotate/track-key.slow.test.ts and test/tools/rotate/webhook-key.test.ts.
import type { Secret } from '../../secret.ts'
import { type SecretHandle, type SecretVersions, variableOf } from '../../settings/secrets/secret-handle.ts'
import { NOTHING_CHANGED, RotationStopped, type Steps } from './report.ts'
import type { RotationRecord, RotationState } from './state.ts'

/** A secret that the operator has stored to be used next. */
export interface NewSecret {
  /** Such as `cio-api-key-v2`. */
  readonly name: string
  readonly handle: SecretHandle | undefined
}

type VersionsInUse = SecretVersions & { readonly current: Secret }

/** @throws RotationStopped if there is no such secret */
export async function versionsInUse(
  handle: SecretHandle,
  next: readonly string[] = []
): Promise<VersionsInUse> {
  const { current, ...others } = await handle.versions()
  if (current !== undefined) return { current, ...others }
  throw new RotationStopped('impossible', `nothing at ${handle.place}`, [...next, NOTHING_CHANGED])
}

/**
 * The new key, from its own place or from the pending version of the key in use.
 *
 * @param instruction what the operator stores
 * @returns the key and where it is from
 * @throws RotationStopped with every place that was searched
 */
export async function findNewKey(
  { name, handle }: NewSecret,
  inUse: SecretHandle,
  pending: Secret | undefined,
  instruction: string
): Promise<readonly [key: Secret, detail: string]> {
  const key = (await handle?.versions())?.current
  if (key !== undefined) return [key, `${key.id}, from ${handle?.place}`]
  if (pending !== undefined) return [pending, `${pending.id}, the pending version of ${inUse.place}`]
  const variable = variableOf(name)
  // A value that cannot change has no pending version.
  const pendingPlace = inUse.refreshMs === undefined ? undefined : `a pending version of ${inUse.place}`
  const places = [variable, `${variable}_FILE`, handle?.place, pendingPlace]
  const searched = [...new Set(places.filter(place => place !== undefined))].join(', ')
  throw new RotationStopped('impossible', `nothing at any of: ${searched}`, [
    `${instruction} at one of these places, and run this again.`,
    NOTHING_CHANGED
  ])
}

/** A second rotation would lose the key that the first one still keeps. */
export function compareKeys(
  steps: Steps,
  { current, previous }: VersionsInUse,
  finishCommand: string
): Promise<void> {
  return steps.run('compare', async () => {
    if (previous !== undefined && !previous.equals(current)) {
      throw new RotationStopped('failed', `the previous key, ${previous.id}, is not retired yet`, [
        `Finish that rotation first: \`${finishCommand}\`.`,
        NOTHING_CHANGED
      ])
    }
    return [undefined, 'the new key is another one']
  })
}

/** Records that a key was switched. */
export const recordSwitch = (steps: Steps, record: RotationRecord, at: string, state: RotationState) =>
  steps.run('record', async () => [await record.write(state), `switched at ${at}`])

/** Removes the previous value of each secret, and adds the rotation to the history. */
export const retireKey = (
  steps: Steps,
  { record, now }: { readonly record: RotationRecord; readonly now: () => Date },
  secrets: readonly SecretHandle[],
  finished: Omit<RotationState['history'][number], 'finishedAt'> & { readonly oldKey: string },
  state: RotationState
): Promise<void> =>
  steps.run('retire the old key', async () => {
    for (const secret of secrets) await secret.forgetPrevious()
    const { oldKey, ...entry } = finished
    const history = [...state.history, { ...entry, finishedAt: now().toISOString() }]
    return [await record.write({ ...state, history }), `${oldKey} is gone, ${entry.newKey} is in use`]
  })
