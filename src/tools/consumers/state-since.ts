// Tested by test/tools/consumers/parts.test.ts.
import type { ConsumerStatus } from '../../dispatch/consumer-status.ts'

/**
 * Since when a consumer is in its state, unix milliseconds: the first failure in a row of a failing one, the last activity of one
 * without members. `undefined` while it is ok, or if it is not known.
 */
export function stateSinceMs({
  state,
  lastFailureAtMs,
  failingSinceMs = lastFailureAtMs,
  pausedAtMs,
  disabledAtMs,
  lastActiveMs
}: Pick<
  ConsumerStatus,
  'state' | 'lastFailureAtMs' | 'failingSinceMs' | 'pausedAtMs' | 'disabledAtMs' | 'lastActiveMs'
>): number | undefined {
  switch (state) {
    case 'failing':
      return failingSinceMs
    case 'paused':
      return pausedAtMs
    case 'disabled':
      return disabledAtMs
    case 'no_members':
      return lastActiveMs
    case 'ok':
      return undefined
  }
}
