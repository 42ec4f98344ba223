import { type Results, ratioOf, type Spread, totalCpuUs } from './results.ts'
import type { Measurement } from './running.ts'

/** A target, and what was measured. */
export interface TargetOutcome {
  readonly text: string
  readonly measured: Spread
  readonly met: boolean
}

interface Limits {
  readonly least?: number
  readonly most?: number
}

interface Target extends Limits {
  readonly text: string
  readonly over: string
  readonly under: string
  readonly read: (measurement: Measurement) => number
  readonly at: 'maximum' | 'half'
}

const serviceCpu = ({ serviceCpuUs }: Measurement): number => serviceCpuUs
const throughput = ({ report }: Measurement): number => report.throughput
const p99 = ({ report }: Measurement): number => report.latencyMs.p99

const targets: readonly Target[] = [
  cpuAgainstFloor('service-basic', 0.6),
  cpuAgainstFloor('service', 0.55),
  cpuAgainstPeer('service-basic', 'nginx-lua'),
  cpuAgainstPeer('service', 'nginx-lua'),

  latencyAgainstNginx('service-basic'),
  latencyAgainstNginx('service'),
  {
    text: 'throughput, service-fsync ÷ service-everysec',
    over: 'service-fsync',
    under: 'service-everysec',
    read: throughput,
    at: 'maximum',
    least: 0.6
  }
]

function cpuAgainstFloor(under: string, least: number): Target {
  return {
    text: `CPU of the process, bare ÷ ${under}`,
    over: 'bare',
    under,
    read: serviceCpu,
    at: 'maximum',
    least
  }
}

function cpuAgainstPeer(over: string, under: string): Target {
  const text = `CPU with Redis, ${over} ÷ ${under}`
  return { text, over, under, read: totalCpuUs, at: 'maximum', most: 0.75 }
}

function latencyAgainstNginx(over: string): Target {
  const text = `p99 at half the maximum, ${over} ÷ nginx-lua`
  return { text, over, under: 'nginx-lua', read: p99, at: 'half', most: 1 }
}

/** Whether the median is within the limits. */
export function targetOutcome(text: string, measured: Spread, { least, most }: Limits): TargetOutcome {
  const met = measured.median >= (least ?? 0) && measured.median <= (most ?? Number.POSITIVE_INFINITY)
  return { text: `${text} ${least === undefined ? '≤' : '≥'} ${least ?? most}`, measured, met }
}

/** The targets whose two contestants both ran. */
export function evaluateTargets({ closed, open, halfMaximum }: Results): TargetOutcome[] {
  return targets.flatMap(({ text, over, under, read, at, ...limits }) => {
    const measured = (name: string) => (at === 'maximum' ? closed[name] : open[name]?.[String(halfMaximum)])
    const ratio = ratioOf(measured(over), measured(under), read)
    return ratio === undefined ? [] : [targetOutcome(text, ratio, limits)]
  })
}
