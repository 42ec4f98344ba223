// Tested by test/tools/status/problems.test.ts.
import { counted } from '../../counted.ts'
import { formatDuration } from '../../duration.ts'
import type { AddressVariable, SourceStats } from '../../receive/delivery-stats.ts'
import { addressFixes } from '../../receive/fix.ts'
import { finishCommand } from '../rotate/webhook-key.ts'
import type { Problem, SourceStatus, StatusFacts } from './facts.ts'

const HOUR_MS = 60 * 60 * 1000
/** With fewer deliveries per day, a silence of hours says nothing. */
const REGULAR_DELIVERIES = 24
/** A silence this much longer than the mean interval is unusual. */
const UNUSUAL_INTERVALS = 20

/** Problems of each source. None are known while Redis is down: a key without deliveries may be in use then. */
export function sourceProblems({ sources, atMs, settings, redis }: StatusFacts): readonly Problem[] {
  if (redis.state !== 'up') return []
  return sources.flatMap(source => [
    ...wrongAddress(source, settings.addressPolicy === 'enforce'),
    ...wrongKey(source),
    ...wrongClock(source),
    ...previousKey(source),
    ...silence(source, atMs)
  ])
}

function wrongAddress({ name, lastHour }: SourceStatus, isEnforced: boolean): readonly Problem[] {
  return Object.entries(lastHour.wrongAddress).map(([variable, count]) => ({
    id: 'authentic_but_refused',
    severity: isEnforced ? 'error' : 'warning',
    summary: `${counted(count, 'authentic delivery', 'authentic deliveries')} of the source ${name} came from an address that is not allowed in the last hour.`,
    consequence: isEnforced
      ? 'They got 403. Customer.io retries them, and later events wait behind them.'
      : 'They were accepted, because CIO_IP_POLICY is report. With enforce they would get 403.',
    fix: `${addressFixes[variable as AddressVariable]}: the log lines of these deliveries have it`
  }))
}

function wrongKey({ name, lastHour, currentKey }: SourceStatus): readonly Problem[] {
  const count = lastHour.listedFailures.mismatch ?? 0
  if (count === 0) return []
  const key = currentKey === undefined ? '' : ` (${currentKey})`
  return [
    {
      id: 'wrong_key',
      severity: isDelivering(lastHour) ? 'warning' : 'error',
      summary: `${counted(count, 'delivery', 'deliveries')} of the source ${name} from listed addresses had a signature that matches no key in the last hour.`,
      consequence:
        'They got 401. If they are yours, Customer.io signs with another key, or a proxy changes the body.',
      fix: `compare the signing key${key} with the one that Customer.io shows beside the webhook, and set CIO_WEBHOOK_SECRET or the key in CIO_SOURCES_FILE`
    }
  ]
}

function wrongClock({ name, lastHour }: SourceStatus): readonly Problem[] {
  const { timestamp_future: future = 0, timestamp_stale: stale = 0 } = lastHour.listedFailures
  if (future + stale === 0) return []
  return [
    {
      id: 'wrong_clock',
      severity: isDelivering(lastHour) ? 'warning' : 'error',
      summary: `${counted(future + stale, 'delivery', 'deliveries')} of the source ${name} from listed addresses had a signed time ${future > 0 ? 'in the future' : 'too long ago'} in the last hour.`,
      consequence: 'They got 401. Customer.io retries each after an hour, and later events wait behind them.',
      fix:
        future > 0
          ? 'the clock of the service is behind: synchronize it (timedatectl)'
          : 'if the clock of the service is ahead, synchronize it (timedatectl); otherwise raise CIO_SIGNATURE_TOLERANCE_SECONDS'
    }
  ]
}

const isDelivering = ({ keys }: SourceStats): boolean => (keys.current ?? 0) + (keys.previous ?? 0) > 0

function previousKey({ name, previousKey, lastDay }: SourceStatus): readonly Problem[] {
  if (previousKey === undefined) return []
  const used = lastDay.keys.previous ?? 0
  return [
    used > 0
      ? {
          id: 'previous_key_used',
          severity: 'warning',
          summary: `The previous key ${previousKey} of the source ${name} signed ${counted(used, 'delivery', 'deliveries')} in the last day.`,
          consequence: 'If it is removed now, such deliveries get 401.',
          fix: 'wait until Customer.io signs with the current key only: cio-webhook rotate status'
        }
      : {
          id: 'rotation_unfinished',
          severity: 'warning',
          summary: `The previous key ${previousKey} of the source ${name} is still accepted, but signed nothing in the last day.`,
          consequence: 'A holder of the old key can still send deliveries.',
          fix: finishCommand(name)
        }
  ]
}

function silence({ name, last, lastDay }: SourceStatus, atMs: number): readonly Problem[] {
  if (last === undefined) return []
  const silentMs = atMs - last.atMs
  const count = (lastDay.keys.current ?? 0) + (lastDay.keys.previous ?? 0)
  const usualMs = count < REGULAR_DELIVERIES ? 24 * HOUR_MS : (24 * HOUR_MS) / count
  const limitMs = count < REGULAR_DELIVERIES ? usualMs : Math.max(HOUR_MS, UNUSUAL_INTERVALS * usualMs)
  if (silentMs < limitMs) return []
  return [
    {
      id: 'no_deliveries',
      severity: 'warning',
      summary: `The source ${name} has had no authentic delivery for ${formatDuration(silentMs)}.`,
      consequence: 'Events may be waiting at Customer.io, or the webhook is switched off there.',
      fix: 'check the webhook at Customer.io, and the way to this service from outside: cio-webhook doctor <public URL>'
    }
  ]
}
