// Tested by test/console/pages/sources.slow.test.ts.
import { counted } from '../../counted.ts'
import type { SourceStats } from '../../receive/delivery-stats.ts'
import { addressFixes } from '../../receive/fix.ts'
import type { Source } from '../../settings/sources.ts'
import type { ReplicaKeys } from '../../tools/rotate/replica-keys.ts'
import type { TrackKeyStatus, WebhookKeyStatus } from '../../tools/rotate/status.ts'
import { finishCommand } from '../../tools/rotate/webhook-key.ts'
import type { SourceStatus } from '../../tools/status/facts.ts'
import { age, duration, facts, number, pill, type Tone, table } from '../components.ts'
import { type Html, html } from '../html.ts'
import type { ConsoleStatus } from '../status.ts'
import { labelOf, outcomesOf } from './deliveries.ts'

/** A reading that failed, and why. */
export interface Unknown {
  readonly unknown: string
}

export interface SourceKeys {
  /** `undefined` if Redis does not answer. */
  readonly usage: ReplicaKeys | undefined
  /** `undefined` if the source has no signing key in a store. */
  readonly rotation: WebhookKeyStatus | Unknown | undefined
}

export function sourceSection(source: Source, status: ConsoleStatus, keys: SourceKeys): Html {
  const { name, schemes, policy, idPointer, idHeader } = source
  const found = status.sources.find(of => of.name === name)
  if (found === undefined) throw new Error(`the status has no source ${name}`)
  const { last, lastDay } = found
  const isDown = status.redis.state === 'down'
  return html`<section class="source" id="source-${name}" aria-label="Source ${name}"><h2>Source ${name}</h2>
${facts([
  ['Path', html`<code>/api/cio/webhook${name === 'default' ? undefined : `/${name}`}</code>`],
  ['Signature schemes', html`<code>${schemes.join(', ')}</code>`],
  ['PII policy', html`<code>${policy}</code>`],
  ['Event id', html`<code>${idPointer ?? idHeader ?? 'event_id'}</code>`],
  [
    'Last authentic delivery',
    last === undefined
      ? isDown
        ? '–'
        : 'none yet'
      : html`${age(last.atMs, status.atMs)}, ${labelOf(last.outcome)}${last.ageSeconds === undefined ? undefined : `; its event was ${duration(last.ageSeconds * 1000)} old`}`
  ]
])}
${table(
  `Deliveries of ${name} by outcome`,
  [
    { title: 'Outcome', cell: ({ label }) => label },
    { title: 'Answer', cell: ({ answer }) => answer },
    { title: 'Deliveries in 24 h', isNumber: true, cell: ({ count }) => number(count) }
  ],
  outcomesOf(lastDay.outcomes),
  isDown ? notKnown : html`<p>No delivery in the last 24 hours.</p>`
)}
<h3>Signing keys</h3>${keyTable(found, status, keys)}${rotationText(found, keys)}
${isDown ? undefined : refusals(name, lastDay, status.settings.addressPolicy === 'enforce')}</section>`
}

const notKnown = html`<p>Not known while Redis is down.</p>`

interface KeyRow {
  readonly id: string
  readonly role: 'current' | 'previous' | 'retired'
}

const ROLE_TONES: Readonly<Record<KeyRow['role'], Tone>> = {
  current: 'good',
  previous: 'warning',
  retired: 'neutral'
}

function keyTable(source: SourceStatus, status: ConsoleStatus, { usage }: SourceKeys): Html {
  const { name, currentKey, previousKey, lastDay } = source
  const rows: KeyRow[] = []
  if (currentKey !== undefined) rows.push({ id: currentKey, role: 'current' })
  if (previousKey !== undefined) rows.push({ id: previousKey, role: 'previous' })
  for (const id of usage?.keys.keys() ?? []) {
    if (id !== currentKey && id !== previousKey) rows.push({ id, role: 'retired' })
  }
  const accepting = (id: string): number =>
    usage?.replicas.filter(({ keys }) => keys.includes(id)).length ?? 0
  const isKnown = usage !== undefined
  return table(
    `Signing keys of ${name}`,
    [
      { title: 'Key', cell: ({ id }) => html`<code>${id}</code>` },
      { title: 'Role', cell: ({ role }) => pill(ROLE_TONES[role], role) },
      {
        title: 'Signed in 24 h',
        isNumber: true,
        cell: ({ role }) => (role === 'retired' || !isKnown ? '–' : number(lastDay.keys[role] ?? 0))
      },
      {
        title: 'Signed in total',
        isNumber: true,
        cell: ({ id }) => number(isKnown ? (usage.keys.get(id)?.count ?? 0) : undefined)
      },
      {
        title: 'Last seen',
        isNumber: true,
        cell: ({ id }) => age(usage?.keys.get(id)?.lastSeenMs, usage?.nowMs ?? status.atMs)
      },
      {
        title: 'Accepted by',
        isNumber: true,
        cell: ({ id }) => (isKnown ? `${accepting(id)} of ${counted(usage.replicas.length, 'replica')}` : '–')
      }
    ],
    rows,
    html`<p>The ids of the keys are not known now: their store does not answer.</p>`
  )
}

function rotationText({ name, previousKey }: SourceStatus, { rotation }: SourceKeys): Html | undefined {
  if (rotation === undefined) return undefined
  if ('unknown' in rotation) return html`<p>The rotation is not known: ${rotation.unknown}.</p>`
  if (rotation.previous === undefined && previousKey === undefined) {
    return html`<p>No rotation in progress.</p>`
  }
  const since = rotation.switchedAt === undefined ? '' : ` since ${rotation.switchedAt}`
  const next = rotation.due ? undefined : html` When nothing needs it: <code>${finishCommand(name)}</code>.`
  return html`<p>A rotation is in progress${since}: ${rotation.advice}.${next}</p>`
}

function refusals(name: string, lastDay: SourceStats, isEnforced: boolean): Html {
  const failures = Object.entries(lastDay.signatureFailures)
  const listed: Readonly<Record<string, number>> = lastDay.listedFailures
  const addresses = Object.entries(addressFixes).flatMap(([variable, fix]) => {
    const count: number = Object.entries(lastDay.wrongAddress).find(([of]) => of === variable)?.[1] ?? 0
    return count === 0 ? [] : [{ count, fix }]
  })
  return html`<h3>Signature failures</h3>
${table(
  `Signature failures of ${name}`,
  [
    { title: 'Reason', cell: ([reason]) => labelOf(reason) },
    { title: 'Deliveries in 24 h', isNumber: true, cell: ([, count]) => number(count) },
    {
      title: 'Of these from listed addresses',
      isNumber: true,
      cell: ([reason]) => number(listed[reason] ?? 0)
    }
  ],
  failures,
  html`<p>None in the last 24 hours.</p>`
)}
<h3>${isEnforced ? 'Refused although authentic' : 'Authentic, but from other addresses'}</h3>
${
  addresses.length === 0
    ? html`<p>None in the last 24 hours.</p>`
    : addresses.map(
        ({ count, fix }) =>
          html`<p>${counted(count, 'authentic delivery', 'authentic deliveries')} came from an address that is not allowed${isEnforced ? ', and got 403' : ''}. Fix: ${fix}. The log lines of these deliveries have it.</p>`
      )
}`
}

export function trackKeySection(trackKey: TrackKeyStatus | Unknown): Html {
  if ('unknown' in trackKey) {
    return html`<h2>Track API key</h2><p>Its state is not known: ${trackKey.unknown}.</p>`
  }
  const { current, previous, advice } = trackKey
  return html`<h2>Track API key</h2>
${facts([
  ['Current', html`<code>${current}</code>`],
  ['Previous', previous === undefined ? 'none' : html`<code>${previous}</code>`],
  ['Rotation', advice]
])}`
}
