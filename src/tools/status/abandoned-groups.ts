import { createPollingLoop } from '../../async/poll.ts'
import type { Logger } from '../../ops/logger.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Config } from '../../settings/config.ts'
import { readStatus } from './read-status.ts'

interface AbandonedGroupsOptions {
  readonly config: Pick<Config, 'production' | 'log' | 'dispatch' | 'admission'>
  readonly redis: RedisClient
  /** For messages, without credentials. */
  readonly redisAddress: string
  readonly log: Pick<Logger, 'warn'>
  readonly now: () => number
}

const INTERVAL_MS = 60 * 60 * 1000

/** Logs each consumer group that nothing reads for, at the start and once per hour. */
export function warnAboutAbandonedGroups({ log, ...options }: AbandonedGroupsOptions): {
  start(): void
  stop(): Promise<void>
} {
  // If Redis does not answer, the monitor reports that.
  const loop = createPollingLoop(check, INTERVAL_MS, () => {})
  return { start: loop.runNow, stop: loop.stop }

  async function check(): Promise<void> {
    // The problem of a group does not depend on secrets and sources.
    const { problems } = await readStatus({
      ...options,
      configuration: { changed: [], secrets: [] },
      sources: []
    })
    for (const { id, summary, consequence, fix } of problems) {
      if (id === 'no_members') log.warn({ consequence, fix }, `a consumer group has no members: ${summary}`)
    }
  }
}
