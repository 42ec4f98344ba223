import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../helpers/random.ts'
import { postTo } from '../../helpers/service.ts'
import { signV0 } from '../../helpers/sign.ts'
import { type Claim, delivery } from './requests.ts'

export interface Steady {
  readonly claims: readonly Claim[]
  /** Responses other than 200, and slow ones. */
  readonly complaints: readonly string[]
}

const GAP_MS = 5
/** Customer.io gives up after 4 s. */
const PATIENCE_MS = 3500

/** Sends authentic deliveries, one after the other, until `until` is true. */
export async function deliverSteadily(url: string, random: Random, until: () => boolean): Promise<Steady> {
  const claims: Claim[] = []
  const complaints: string[] = []
  while (!until()) {
    const { body, claim } = delivery(random)
    const startedMs = performance.now()
    const headers = signV0(body)
    try {
      const { status, body: answer } = await postTo(url, body, headers)
      if (status === 200) claims.push({ id: String(answer['id']), sure: true })
      else complaints.push(`${status} ${JSON.stringify(answer)}`)
    } catch (error) {
      complaints.push(String(error instanceof Error ? (error.cause ?? error) : error))
      claims.push(claim)
    }
    const tookMs = performance.now() - startedMs
    if (tookMs > PATIENCE_MS) complaints.push(`answered after ${Math.round(tookMs)} ms`)
    await sleep(random.between(0, 2 * GAP_MS))
  }
  return { claims, complaints }
}
