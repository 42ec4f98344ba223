// Tested by test/cli/rotate/command.test.ts
import type { RotationReport } from '../../tools/rotate/report.ts'
import type { RotationStatus, TrackKeyStatus, WebhookKeyStatus } from '../../tools/rotate/status.ts'
import { fieldList } from '../table.ts'

const headlines: Readonly<Record<RotationReport['outcome'], string>> = {
  done: 'Done.',
  nothing_to_do: 'Nothing to do.',
  would_do: 'Dry run: no changes made.',
  failed: 'Stopped.',
  impossible: 'Could not be done.'
}

/** A report for a person to read. */
export function printReport({ outcome, steps, next }: RotationReport): string {
  const lines = steps.map(({ step, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'}  ${step}: ${detail}`)
  const advice = next.map((line, index) => `  ${index + 1}. ${line}`)
  return `${[...lines, headlines[outcome], ...advice].join('\n')}\n`
}

export function printStatus({ trackKey, webhookKeys }: RotationStatus): string {
  const parts = [
    ...(trackKey === undefined ? [] : [trackKeyText(trackKey)]),
    ...webhookKeys.map(webhookKeyText)
  ]
  return parts.length === 0 ? 'no keys are configured here\n' : `${parts.join('\n\n')}\n`
}

function trackKeyText(status: TrackKeyStatus): string {
  const rows: Row[] = [
    ['in use', `${status.current}${since(status.switchedAt)}`],
    ['previous', status.previous],
    ['revoke after', status.revokeAfter],
    [status.due ? 'DUE' : 'next', status.advice]
  ]
  return `Track API key\n${fieldList(rows)}`
}

function webhookKeyText(status: WebhookKeyStatus): string {
  const { replicas } = status
  const rows: Row[] = [
    ['in use', `${status.current}${since(status.switchedAt)}`],
    ['previous', status.previous],
    [
      'replicas',
      replicas &&
        `${replicas.takingBoth} of ${replicas.all} take ${status.previous === undefined ? 'it' : 'both'}`
    ],
    ...status.seen.map(
      ({ key, role, deliveries, lastSeen }): Row => [
        `seen ${role}`,
        `${key}: ${deliveries} ${deliveries === 1 ? 'delivery' : 'deliveries'}${lastSeen === undefined ? '' : `, last ${lastSeen}`}`
      ]
    ),
    [status.due ? 'DUE' : 'next', status.advice]
  ]
  return `Signing key of the source ${status.source}\n${fieldList(rows)}`
}

type Row = readonly [name: string, value: string | undefined]

const since = (at: string | undefined): string => (at === undefined ? '' : ` since ${at}`)
