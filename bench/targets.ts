import { type Results, ratioOf, type Spread, totalCpuUs } from './results.ts'
import type { Measurement } from './running.ts'

/** A target for this service relative to another contestant, and the measured ratio. */
interface TargetOutcome {
  readonly text: string
  readonly ratio: Spread
  readonly met: boolean
}

interface Target {
  readonly text: string
  readonly over: string
  readonly under: string
  readonly read: (measurement: Measurement) => number
  readonly at: 'maximum' | 'half'
  readonly least?: number
  readonly most?: number
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

/** The targets whose two contestants both ran. */
export function evaluateTargets({ closed, open, halfMaximum }: Results): TargetOutcome[] {
  return targets.flatMap(({ text, over, under, read, at, least, most }) => {
    const measured = (name: string) => (at === 'maximum' ? closed[name] : open[name]?.[String(halfMaximum)])
    const ratio = ratioOf(measured(over), measured(under), read)
    if (ratio === undefined) return []
    const met = ratio.median >= (least ?? 0) && ratio.median <= (most ?? Number.POSITIVE_INFINITY)
    return [{ text: `${text} ${least === undefined ? '≤' : '≥'} ${least ?? most}`, ratio, met }]
  })
}
