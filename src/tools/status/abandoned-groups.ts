import { createPollingLoop } from '../../async/poll.ts'
import type { Logger } from '../../ops/logger.ts'
import type { StatusReport } from './facts.ts'

const INTERVAL_MS = 60 * 60 * 1000

/**
 * Logs each consumer group that nothing reads for, at the start and once per hour.
 *
 * @param read the present status
 */
export function warnAboutAbandonedGroups(
  read: () => Promise<StatusReport>,
  log: Pick<Logger, 'warn'>,
  intervalMs = INTERVAL_MS
): { start(): void; stop(): Promise<void> } {
  // If Redis does not answer, the monitor reports that.
  const loop = createPollingLoop(check, intervalMs, () => {})
  return { start: loop.runNow, stop: loop.stop }

  async function check(): Promise<void> {
    const { problems } = await read()
    for (const { id, summary, consequence, fix } of problems) {
      if (id === 'no_members') log.warn({ consequence, fix }, `a consumer group has no members: ${summary}`)
    }
  }
}
