import { setTimeout as sleep } from 'node:timers/promises'
import { BOUNDED, MOST_MB, NO_ALERT } from '../check-names.ts'
import { type Flood, flood } from '../flood.ts'
import { limitMemory, residentMb } from '../memory.ts'
import type { Check, Outcome, Scenario, Setting } from '../scenario.ts'
import { underAttack } from './crowds.ts'

/** The memory limit that docs/deploy.md recommends. */
const LIMIT_BYTES = 512 * 1024 * 1024
/**
 * What a second flood may add. After the first one, V8 and the allocator keep for the next what it needed. Either flood has
 * more than this in flight at any time.
 */
const MAX_GROWTH_MB = 50
const SETTLE_MS = 5000
/** A busy machine returns memory later. What stays for longer than this is a leak. */
const MAX_SETTLE_MS = 30_000

async function flooded(
  setting: Setting,
  options: Omit<Flood, 'port' | 'seconds'>,
  env: Readonly<Record<string, string>>,
  expected: readonly string[]
): Promise<Outcome> {
  const measured: Record<string, number | string> = {}
  let removeLimit = (): void => {}
  const act: Parameters<typeof underAttack>[1] = async (replica, load) => {
    const pid = replica.pid()
    const limit = limitMemory(pid, LIMIT_BYTES)
    removeLimit = limit.remove
    await load.acknowledged(1000)
    let mostMb = 0
    const watch = setInterval(() => {
      mostMb = Math.max(mostMb, residentMb(pid))
    }, 20)
    load.fault(`${options.connections} connections`)
    const floodOnce = async (expectedMb = Number.POSITIVE_INFINITY) => {
      const answers = await flood({ ...options, port: replica.port, seconds: setting.full ? 60 : 10 })
      const endedMs = performance.now()
      do await sleep(SETTLE_MS)
      while (residentMb(pid) > expectedMb && performance.now() - endedMs < MAX_SETTLE_MS)
      return { answers, afterMb: residentMb(pid) }
    }
    const beforeMb = residentMb(pid)
    const { answers, afterMb } = await floodOnce()
    const { afterMb: afterSecondMb } = await floodOnce(afterMb + MAX_GROWTH_MB)
    clearInterval(watch)
    const metrics = await (await fetch(`http://127.0.0.1:${replica.port}/metrics`)).text()
    const outcome = (name: string): number =>
      Number(new RegExp(`outcome="${name}"\\} (\\d+)`).exec(metrics)?.[1] ?? Number.NaN)
    const limited = limit.enforced ? '512 MiB, enforced' : 'measured only'
    Object.assign(measured, {
      beforeMb,
      mostMb,
      afterMb,
      afterSecondMb,
      limit: limited,
      answers: JSON.stringify(answers)
    })
    return [
      { name: BOUNDED, passed: mostMb <= MOST_MB, detail: measured },
      {
        name: 'a second flood leaves no more memory in use than the first',
        passed: afterSecondMb - afterMb <= MAX_GROWTH_MB,
        detail: measured
      },
      {
        name: NO_ALERT,
        passed: outcome('unavailable') === 0,
        detail: metrics.match(/^cio_deliveries_total.*$/gm)
      },
      {
        name: `the flood was answered ${expected.join(' or ')}`,
        passed: expected.every(status => (answers[status] ?? 0) > 0) && outcome('aborted') > 0,
        detail: answers
      }
    ] satisfies Check[]
  }
  try {
    const outcome = await underAttack(setting, act, env)
    return { ...outcome, measured: { ...outcome.measured, ...measured } }
  } finally {
    removeLimit()
  }
}

export const floods: readonly Scenario[] = [
  {
    name: 'flood-unfinished',
    about: '130 connections from an unlisted address send bodies of 5 MiB without the last byte, repeatedly',
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
    about: '200 forwarded addresses send complete bodies of 5 MiB, repeatedly',
    run: setting =>
      flooded(
        setting,
        { connections: 200, localAddress: '127.0.0.3', complete: true, forwarded: true },
        { TRUSTED_PROXIES: '127.0.0.3' },
        ['403']
      )
  }
]
