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
  /** The load: maximum throughput, half of this service's, or a fixed rate. */
  readonly at: 'maximum' | 'half' | typeof LOW_RATE
}

/** Deliveries per second. One of the rates of main.ts. */
const LOW_RATE = 1000

const serviceCpu = ({ serviceCpuUs }: Measurement): number => serviceCpuUs
const throughput = ({ report }: Measurement): number => report.throughput
const p99 = ({ report }: Measurement): number => report.latencyMs.p99

const targets: readonly Target[] = [
  cpuAgainstFloor('service-basic', 0.4),
  cpuAgainstFloor('service', 0.4),
  cpuAgainstPeer('service-basic', 'nginx-lua'),
  cpuAgainstPeer('service', 'nginx-lua'),
  cpuAtLowLoad('service-basic'),
  cpuAtLowLoad('service'),
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
  return { text, over, under, read: totalCpuUs, at: 'maximum', most: 0.8 }
}

function cpuAtLowLoad(over: string): Target {
  const text = `CPU with Redis at ${LOW_RATE}/s, ${over} ÷ nginx-lua`
  return { text, over, under: 'nginx-lua', read: totalCpuUs, at: LOW_RATE, most: 1.6 }
}

function latencyAgainstNginx(over: string): Target {
  const text = `p99 at half the maximum, ${over} ÷ nginx-lua`
  return { text, over, under: 'nginx-lua', read: p99, at: 'half', most: 2 }
}

/** Whether the median is within the limits. */
export function targetOutcome(text: string, measured: Spread, { least, most }: Limits): TargetOutcome {
  const met = measured.median >= (least ?? 0) && measured.median <= (most ?? Number.POSITIVE_INFINITY)
  return { text: `${text} ${least === undefined ? '≤' : '≥'} ${least ?? most}`, measured, met }
}

/** The targets whose two contestants both ran. */
export function evaluateTargets({ closed, open, halfMaximum }: Results): TargetOutcome[] {
  return targets.flatMap(({ text, over, under, read, at, ...limits }) => {
    const rate = at === 'half' ? halfMaximum : at
    const measured = (name: string) => (rate === 'maximum' ? closed[name] : open[name]?.[rate])
    const ratio = ratioOf(measured(over), measured(under), read)
    return ratio === undefined ? [] : [targetOutcome(text, ratio, limits)]
  })
}
