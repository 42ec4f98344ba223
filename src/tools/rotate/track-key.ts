import type { Secret } from '../../secret.ts'
import { type SecretHandle, sameSecret } from '../../settings/secrets/secret-handle.ts'
import { type RotationReport, RotationStopped, reportSteps } from './report.ts'
import type { RotationRecord } from './state.ts'
import { TEST_PERSON, type TrackAnswer, type TrackProbe } from './track-probe.ts'

export interface TrackKeyRotation {
  readonly apiKey: SecretHandle
  readonly siteId: SecretHandle
  readonly probe: TrackProbe
  readonly record: RotationRecord
  readonly now: () => Date
}

export interface TrackKeyOptions {
  /** Where the new key waits; its pending version is used where this holds nothing. */
  readonly newKey: SecretHandle | undefined
  /** A Track API key that was made anew has a site id of its own. Nothing there: the site id stays. */
  readonly newSiteId: SecretHandle | undefined
  readonly drainSeconds: number
  /** Also write and delete a person. */
  readonly identify: boolean
  /** The old key is revoked already, so the workspaces can't be compared. */
  readonly oldRevoked: boolean
  readonly dryRun: boolean
}

const NOTHING_CHANGED = 'Nothing was changed.'

/**
 * Puts a new Track API key into use: read, proven, compared, switched, recorded. A step that fails leaves the
 * old key in use. A rotation that is done already is found done.
 */
export function rotateTrackKey(
  rotation: TrackKeyRotation,
  options: TrackKeyOptions
): Promise<RotationReport> {
  const { apiKey, siteId, probe, record, now } = rotation
  return reportSteps(async steps => {
    const state = await record.read()
    const held = await steps.run('read the key in use', async () => {
      const [key, site] = [await apiKey.versions(), await siteId.versions()]
      if (key.current === undefined || site.current === undefined) {
        const missing = key.current === undefined ? apiKey : siteId
        throw new RotationStopped('impossible', `nothing at ${missing.place}`, [
          'Set CIO_SITE_ID and CIO_API_KEY (or their files) to the credentials in use.'
        ])
      }
      const found = {
        apiKey: key.current,
        siteId: site.current,
        previous: key.previous,
        pending: key.pending
      }
      return [found, `${key.current.id}, from ${apiKey.place}`]
    })

    const fresh = await steps.run('read the new key', async () => {
      const key = (await options.newKey?.versions())?.current ?? held.pending
      const site = (await options.newSiteId?.versions())?.current ?? held.siteId
      if (key === undefined) {
        throw new RotationStopped('impossible', `nothing at ${options.newKey?.place ?? 'any place known'}`, [
          'Make a Track API key for the same workspace at Customer.io (Settings, API credentials), put it there (its site id too, if that is another one), and run this again.',
          NOTHING_CHANGED
        ])
      }
      const from = options.newKey === undefined ? '' : `, from ${options.newKey.place}`
      return [{ apiKey: key, siteId: site }, `${key.id}${from}`]
    })

    if (fresh.apiKey.equals(held.apiKey)) {
      const known = state.trackKey?.newKey === fresh.apiKey.id ? state.trackKey.switchedAt : undefined
      await steps.run('compare', async () => {
        if (known !== undefined) return [undefined, `the new key is in use already, since ${known}`]
        // The record was lost, or could not be written: the drain period begins anew, never too early.
        if (held.previous !== undefined && !options.dryRun) {
          const ids = { oldKey: held.previous.id, newKey: fresh.apiKey.id }
          const { drainSeconds } = options
          await record.write({
            ...state,
            trackKey: { switchedAt: now().toISOString(), ...ids, drainSeconds }
          })
        }
        return [undefined, 'the new key is in use already']
      })
      return steps.done('nothing_to_do', ['See `cio-webhook rotate status`.'])
    }
    await steps.run('compare', async () => {
      if (held.previous !== undefined && !held.previous.equals(held.apiKey)) {
        throw new RotationStopped('failed', `the key before, ${held.previous.id}, is still kept`, [
          'Finish that rotation first: `cio-webhook rotate finish`.',
          NOTHING_CHANGED
        ])
      }
      return [undefined, 'the new key is another one']
    })

    const old = await steps.run('ask Customer.io about the key in use', async () => {
      const answer = await probe.check(held)
      if (answer.kind === 'refused' && options.oldRevoked) return [undefined, 'refused (401), as told']
      return [accepted(answer, 'If it is revoked already, say so with --old-revoked.'), describe(answer)]
    })
    const workspace = await steps.run('ask Customer.io about the new key', async () => {
      const answer = await probe.check(fresh)
      const { workspace } = accepted(
        answer,
        'Check that the key is whole and that its site id belongs to it: a Track API key that was made anew has its own.'
      )
      if (old !== undefined && workspace !== old.workspace) {
        throw new RotationStopped(
          'failed',
          `it belongs to workspace ${workspace}, the old one to ${old.workspace}`,
          [`Make the new key for workspace ${old.workspace}.`, NOTHING_CHANGED]
        )
      }
      return [workspace, describe(answer)]
    })
    if (options.identify && !options.dryRun) {
      await steps.run(`write and delete the person ${TEST_PERSON}`, async () => {
        const answer = await probe.identify(fresh)
        return [accepted(answer, `Look whether the person ${TEST_PERSON} is left over.`), 'both worked']
      })
    }

    const revokeAfter = new Date(now().getTime() + options.drainSeconds * 1000).toISOString()
    const next = [
      'Restart or reload whatever reads the key only when it starts.',
      `Revoke the old key (${held.apiKey.id}) at Customer.io after ${revokeAfter}: until then it drains.`,
      'Then: `cio-webhook rotate finish`.'
    ]
    if (options.dryRun) return steps.done('would_do', ['A dry run: nothing was changed.', ...next])

    await steps.run('switch', async () => {
      await switchBoth(rotation, held, fresh)
      return [undefined, `${fresh.apiKey.id} is in use, ${held.apiKey.id} is kept as the previous key`]
    })
    await steps.run('record', async () => {
      const switchedAt = now().toISOString()
      const { drainSeconds } = options
      const ids = { oldKey: held.apiKey.id, newKey: fresh.apiKey.id }
      await record.write({ ...state, trackKey: { switchedAt, ...ids, drainSeconds, workspace } })
      return [undefined, `switched at ${switchedAt}`]
    })
    return steps.done('done', next)
  })
}

interface Pair {
  readonly apiKey: Secret
  readonly siteId: Secret
}

/** Both or neither: a site id that was switched is switched back when its key can't be. */
async function switchBoth({ apiKey, siteId }: TrackKeyRotation, held: Pair, fresh: Pair): Promise<void> {
  const siteChanges = !sameSecret(held.siteId, fresh.siteId)
  if (siteChanges) await siteId.setActive(fresh.siteId)
  try {
    await apiKey.setActive(fresh.apiKey)
  } catch (error) {
    if (siteChanges) {
      await siteId.setActive(held.siteId)
      await siteId.forgetPrevious()
    }
    throw error
  }
}

/** Forgets the old key once Customer.io refuses it, and not before. */
export function finishTrackKey({ apiKey, siteId, probe, record, now }: TrackKeyRotation, dryRun: boolean) {
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
      return [accepted(answer, 'Mend this first: the key in use must work.'), describe(answer)]
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
    if (dryRun) return steps.done('would_do', ['A dry run: the old key would be forgotten now.'])
    await steps.run('forget the old key', async () => {
      await apiKey.forgetPrevious()
      await siteId.forgetPrevious()
      const { trackKey, ...rest } = state
      const switchedAt = trackKey?.switchedAt ?? 'unknown'
      const entry = { what: 'track-key', newKey: current.id, switchedAt, finishedAt: now().toISOString() }
      await record.write({ ...rest, history: [...rest.history, entry] })
      return [undefined, `${previous.id} is gone, ${current.id} is in use`]
    })
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
