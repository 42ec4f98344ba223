import { setTimeout as sleep } from 'node:timers/promises'
import { type Flood, flood } from '../flood.ts'
import { limitMemory, residentMb } from '../memory.ts'
import type { Check, Outcome, Scenario, Setting } from '../scenario.ts'
import { besieged } from './crowds.ts'

/** As recommended in docs/deploy.md. */
const LIMIT_BYTES = 512 * 1024 * 1024
/** Law 9's figure for a flood of bodies. */
const MOST_MB = 300
/** What an idle collector may keep of its heap. */
const MAX_GROWTH_MB = 100
const SETTLE_MS = 5000

export const BOUNDED = `resident memory stays below ${MOST_MB} MB`
export const NO_ALERT = 'nobody without a key raises the outcome unavailable'

async function flooded(
  setting: Setting,
  options: Omit<Flood, 'port' | 'seconds'>,
  env: Readonly<Record<string, string>>,
  expected: readonly string[]
): Promise<Outcome> {
  const measured: Record<string, number | string> = {}
  let removeLimit = (): void => {}
  const act: Parameters<typeof besieged>[1] = async (replica, load) => {
    const pid = replica.pid()
    const limit = limitMemory(pid, LIMIT_BYTES)
    removeLimit = limit.remove
    await load.acknowledged(1000)
    const beforeMb = residentMb(pid)
    let mostMb = 0
    const watch = setInterval(() => {
      mostMb = Math.max(mostMb, residentMb(pid))
    }, 20)
    load.fault(`${options.connections} connections`)
    const answers = await flood({ ...options, port: replica.port, seconds: setting.full ? 60 : 10 })
    await sleep(SETTLE_MS)
    clearInterval(watch)
    const afterMb = residentMb(pid)
    const metrics = await (await fetch(`http://127.0.0.1:${replica.port}/metrics`)).text()
    const outcome = (name: string): number =>
      Number(new RegExp(`outcome="${name}"\\} (\\d+)`).exec(metrics)?.[1] ?? Number.NaN)
    const limited = limit.enforced ? '512 MiB, enforced' : 'measured only'
    Object.assign(measured, { beforeMb, mostMb, afterMb, limit: limited, answers: JSON.stringify(answers) })
    return [
      { name: BOUNDED, passed: mostMb <= MOST_MB, detail: measured },
      { name: 'and comes back', passed: afterMb - beforeMb <= MAX_GROWTH_MB, detail: measured },
      { name: NO_ALERT, passed: outcome('unavailable') === 0, detail: metrics },
      {
        name: `the flood was answered ${expected.join(' or ')}`,
        passed: expected.every(status => (answers[status] ?? 0) > 0) && outcome('aborted') > 0,
        detail: answers
      }
    ] satisfies Check[]
  }
  try {
    const outcome = await besieged(setting, act, env)
    return { ...outcome, measured: { ...outcome.measured, ...measured } }
  } finally {
    removeLimit()
  }
}

export const floods: readonly Scenario[] = [
  {
    name: 'flood-unfinished',
    about:
      '130 connections of an unlisted address send bodies of 5 MiB without the last byte, again and again',
    run: setting =>
      flooded(
        setting,
        { connections: 130, localAddress: '127.0.0.2', complete: false, forwarded: false },
        {},
        ['403', '429']
      )
  },
  {
    name: 'flood-complete',
    about: '200 forwarded addresses send complete bodies of 5 MiB, again and again',
    run: setting =>
      flooded(
        setting,
        { connections: 200, localAddress: '127.0.0.3', complete: true, forwarded: true },
        { TRUSTED_PROXIES: '127.0.0.3' },
        ['403']
      )
  }
]
