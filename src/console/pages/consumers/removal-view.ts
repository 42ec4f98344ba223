// Tested by test/console/pages/consumers.slow.test.ts.
import type { ConsumerStatus } from '../../../dispatch/consumer-status.ts'
import { number } from '../../components.ts'

/** @param activity why it should not be removed */
export function removalView(
  { name, dead }: ConsumerStatus,
  activity: string | undefined
): { readonly consequence: string; readonly confirm: string } {
  const letters = dead === 0 ? '' : ` Dead letters stay until you drop them: ${number(dead)}.`
  if (activity !== undefined) {
    return { consequence: `${activity}.${letters}`, confirm: `Remove ${name} although it is active` }
  }
  return {
    consequence: `This deletes its position in the log, its queue, its state and its attempts. Events that only ${name} has not read may then be trimmed. If it comes back, it starts again like a new consumer.${letters}`,
    confirm: `Remove ${name}`
  }
}
