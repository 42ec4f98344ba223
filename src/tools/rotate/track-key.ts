import { TEST_PERSON, type TrackAnswer, type TrackProbe } from '../../customerio/track-api.ts'
import type { Secret } from '../../secret.ts'
import { type SecretHandle, sameSecret } from '../../settings/secrets/secret-handle.ts'
import {
  compareKeys,
  findNewKey,
  type NewSecret,
  recordSwitch,
  retireKey,
  versionsInUse
} from './key-steps.ts'
import { NOTHING_CHANGED, type RotationReport, RotationStopped, reportSteps } from './report.ts'
import type { RotationRecord, RotationState } from './state.ts'

export interface TrackKeyRotation {
  readonly apiKey: SecretHandle
  readonly siteId: SecretHandle
  readonly probe: TrackProbe
  readonly record: RotationRecord
  readonly now: () => Date
}

export interface TrackKeyOptions {
  readonly newKey: NewSecret
  /** A new Track API key usually has its own site id. Without one, the site id stays. */
  readonly newSiteId: SecretHandle | undefined
  readonly drainSeconds: number
  /** Also write and delete a person. */
  readonly identify: boolean
  /** The old key is revoked already, so the workspaces cannot be compared. */
  readonly oldRevoked: boolean
  readonly dryRun: boolean
}

/**
 * Puts a new Track API key into use: read, checked, compared, switched, recorded. If a step fails, the old key stays in
 * use. A rotation that is done already is reported as such.
 */
export function rotateTrackKey(
  rotation: TrackKeyRotation,
  options: TrackKeyOptions
): Promise<RotationReport> {
  const { apiKey, siteId, probe, record, now } = rotation
  const { drainSeconds } = options
  return reportSteps(async steps => {
    const state = await record.read()
    const { key, held } = await steps.run('read the key in use', async () => {
      const advice = ['Set CIO_SITE_ID and CIO_API_KEY (or their files) to the credentials in use.']
      const key = await versionsInUse(apiKey, advice)
      const site = await versionsInUse(siteId, advice)
      const held = { apiKey: key.current, siteId: site.current }
      return [{ key, held }, `${key.current.id}, from ${apiKey.place}`]
    })
    const fresh = await steps.run('read the new key', async () => {
      const instruction =
        'Create a Track API key for the same workspace at Customer.io (Settings, API credentials), put it (and its site id, if that is another one)'
      const [newKey, detail] = await findNewKey(options.newKey, apiKey, key.pending, instruction)
      const site = (await options.newSiteId?.versions())?.current ?? held.siteId
      return [{ apiKey: newKey, siteId: site }, detail]
    })

    const recorded = (switchedAt: string, oldKey: string, workspace?: string): RotationState => ({
      ...state,
      trackKey: { switchedAt, oldKey, newKey: fresh.apiKey.id, drainSeconds, workspace }
    })
    if (fresh.apiKey.equals(held.apiKey)) {
      const known = state.trackKey?.newKey === fresh.apiKey.id ? state.trackKey.switchedAt : undefined
      await steps.run('compare', async () => {
        if (known !== undefined) return [undefined, `the new key is in use already, since ${known}`]
        // The record was lost, or could not be written: the drain period starts again, never too early.
        if (key.previous !== undefined && !options.dryRun) {
          await record.write(recorded(now().toISOString(), key.previous.id))
        }
        return [undefined, 'the new key is in use already']
      })
      return steps.done('nothing_to_do', ['See `cio-webhook rotate status`.'])
    }
    await compareKeys(steps, key, 'cio-webhook rotate finish')

    const old = await steps.run('ask Customer.io about the key in use', async () => {
      const answer = await probe.check(held)
      if (answer.kind === 'refused' && options.oldRevoked)
        return [undefined, 'refused (401), as --old-revoked says']
      return [accepted(answer, 'If it is revoked already, say so with --old-revoked.'), describe(answer)]
    })
    const workspace = await steps.run('ask Customer.io about the new key', async () => {
      const answer = await probe.check(fresh)
      const { workspace } = accepted(
        answer,
        'Check that the key is complete and that its site id belongs to it: a new Track API key has its own.'
      )
      if (old !== undefined && workspace !== old.workspace) {
        throw new RotationStopped(
          'failed',
          `it belongs to workspace ${workspace}, the old one to ${old.workspace}`,
          [`Create the new key for workspace ${old.workspace}.`, NOTHING_CHANGED]
        )
      }
      return [workspace, describe(answer)]
    })
    if (options.identify && !options.dryRun) {
      await steps.run(`write and delete the person ${TEST_PERSON}`, async () => {
        const answer = await probe.identify(fresh)
        return [accepted(answer, `Check whether the person ${TEST_PERSON} still exists.`), 'both worked']
      })
    }

    const revokeAfter = new Date(now().getTime() + drainSeconds * 1000).toISOString()
    const next = [
      'Restart or reload everything that reads the key only at its start.',
      `Revoke the old key (${held.apiKey.id}) at Customer.io after ${revokeAfter}: until then it may still be in use.`,
      'Then: `cio-webhook rotate finish`.'
    ]
    if (options.dryRun) return steps.done('would_do', ['To switch, run this again without --dry-run.'])

    await steps.run('switch', async () => {
      await switchBoth(rotation, held, fresh)
      return [undefined, `${fresh.apiKey.id} is in use, ${held.apiKey.id} is kept as the previous key`]
    })
    const switchedAt = now().toISOString()
    await recordSwitch(steps, record, switchedAt, recorded(switchedAt, held.apiKey.id, workspace))
    return steps.done('done', next)
  })
}

interface Pair {
  readonly apiKey: Secret
  readonly siteId: Secret
}

/** Both or neither: if the key cannot be switched, the site id is switched back. */
async function switchBoth({ apiKey, siteId }: TrackKeyRotation, held: Pair, fresh: Pair): Promise<void> {
  const siteChanges = !sameSecret(held.siteId, fresh.siteId)
  if (siteChanges) await siteId.promote(fresh.siteId)
  try {
    await apiKey.promote(fresh.apiKey)
  } catch (error) {
    if (siteChanges) {
      await siteId.promote(held.siteId)
      await siteId.forgetPrevious()
    }
    throw error
  }
}

/** Removes the old key, once Customer.io refuses it. */
export function finishTrackKey(rotation: TrackKeyRotation, dryRun: boolean): Promise<RotationReport> {
  const { apiKey, siteId, probe, record } = rotation
  return reportSteps(async steps => {
    const state = await record.read()
    const [key, site] = [await apiKey.versions(), await siteId.versions()]
    const [current, previous] = [key.current, key.previous]
    if (current === undefined || site.current === undefined || previous === undefined) {
      await steps.run('read the old key', async () => [undefined, `none is kept at ${apiKey.place}`])
      if (state.trackKey !== undefined && !dryRun) await record.write({ ...state, trackKey: undefined })
      return steps.done('nothing_to_do', [])
    }
    const inUse = { apiKey: current, siteId: site.current }
    await steps.run('ask Customer.io about the key in use', async () => {
      const answer = await probe.check(inUse)
      return [accepted(answer, 'Fix this first: the key in use must work.'), describe(answer)]
    })
    await steps.run('ask Customer.io about the old key', async () => {
      const answer = await probe.check({ apiKey: previous, siteId: site.previous ?? inUse.siteId })
      if (answer.kind === 'unknown') accepted(answer, 'Try again later.')
      if (answer.kind === 'accepted') {
        const due = state.trackKey && dueAt(state.trackKey.switchedAt, state.trackKey.drainSeconds)
        throw new RotationStopped('failed', 'it still works', [
          `Revoke ${previous.id} at Customer.io (Settings, API credentials)${due === undefined ? '' : `, not before ${due}`}, then run this again.`,
          'Nothing was changed: the old key is still kept.'
        ])
      }
      return [undefined, 'refused (401)']
    })
    if (dryRun) return steps.done('would_do', ['To remove the old key, run this again without --dry-run.'])
    const { trackKey, ...rest } = state
    const finished = {
      ...{ what: 'track-key', oldKey: previous.id, newKey: current.id },
      switchedAt: trackKey?.switchedAt ?? 'unknown'
    }
    await retireKey(steps, rotation, [apiKey, siteId], finished, rest)
    return steps.done('done', [])
  })
}

export const dueAt = (switchedAt: string, seconds: number): string =>
  new Date(Date.parse(switchedAt) + seconds * 1000).toISOString()

type Accepted = Extract<TrackAnswer, { kind: 'accepted' }>

function accepted(answer: TrackAnswer, advice: string): Accepted {
  if (answer.kind === 'accepted') return answer
  if (answer.kind === 'refused')
    throw new RotationStopped('failed', 'refused (401)', [advice, NOTHING_CHANGED])
  throw new RotationStopped('impossible', `no verdict: ${answer.why}`, [advice, NOTHING_CHANGED])
}

const describe = (answer: TrackAnswer): string =>
  answer.kind === 'accepted'
    ? `accepted, workspace ${answer.workspace}, region ${answer.region}`
    : answer.kind
