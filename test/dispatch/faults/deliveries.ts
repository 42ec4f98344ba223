import { postTo } from '../../helpers/service.ts'
import { WEBHOOK_PATH } from '../../helpers/sign.ts'

interface Delivery {
  readonly id: string
  /** `<object_type>.<metric>` */
  readonly kind: string
  readonly body: string
}

const KINDS = ['sms.sent', 'email.opened', 'email.clicked', 'push.delivered'] as const

/** Matches all personal data in a delivery. */
export const CANARY = /canary|4111.?1111/i

/** Events of a hundred people, each with an address, a card number, a password and names in the usual fields. */
export function deliveries(count: number): readonly Delivery[] {
  return Array.from({ length: count }, (_, index) => {
    const kind = KINDS[index % KINDS.length] ?? 'sms.sent'
    const [objectType, metric] = kind.split('.')
    const id = `e${index}`
    const address = `canary.${index}@example.com`
    const data = {
      customer_id: `c${index % 100}`,
      identifiers: { id: `c${index % 100}`, email: address },
      recipient: address,
      subject: 'Canary, your order is on its way',
      headers: { 'X-For': [address] },
      href: `https://shop.example/orders?for=${encodeURIComponent(address)}#canary`,
      failure_message: `550 5.1.1 <${address}>: no such user`,
      'Credit-Card': '4111 1111 1111 1111',
      password: 'canary-hunter2'
    }
    const timestamp = 1795510800
    return {
      id,
      kind,
      body: JSON.stringify({ event_id: id, object_type: objectType, metric, timestamp, data })
    }
  })
}

const SENDERS = 16
const RETRY_MS = 50

/**
 * Posts them evenly over `durationMs`, each again until it is accepted, like Customer.io.
 *
 * @param urlOf the receiver for the n-th attempt
 * @param onSent called with the number that was sent so far
 * @returns how many attempts failed
 */
export async function sendAll(
  all: readonly Delivery[],
  durationMs: number,
  urlOf: (attempt: number) => string,
  onSent: (count: number) => void
): Promise<number> {
  const startedMs = performance.now()
  let next = 0
  let refused = 0
  const send = async (): Promise<void> => {
    for (let index = next++; index < all.length; index = next++) {
      const dueMs = startedMs + (durationMs * index) / all.length
      const earlyMs = dueMs - performance.now()
      if (earlyMs > 0) await new Promise(resolve => setTimeout(resolve, earlyMs))
      onSent(index + 1)
      for (let attempt = index; ; attempt++) {
        const url = `${urlOf(attempt)}${WEBHOOK_PATH}`
        const answer = await postTo(url, all[index]?.body ?? '').catch(() => undefined)
        if (answer?.status === 200) break
        refused++
        await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      }
    }
  }
  await Promise.all(Array.from({ length: SENDERS }, send))
  return refused
}
