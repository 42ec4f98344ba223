import { createPollingLoop } from '../../async/poll.ts'
import type { Logger } from '../../ops/logger.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Config } from '../../settings/config.ts'
import { readStatus } from './read-status.ts'

interface LastingProblemsOptions {
  readonly config: Pick<Config, 'production' | 'log' | 'dispatch' | 'admission'>
  readonly redis: RedisClient
  /** For messages, without credentials. */
  readonly redisAddress: string
  readonly log: Pick<Logger, 'warn'>
  readonly now: () => number
}

const INTERVAL_MS = 60 * 60 * 1000

/**
 * Logs problems that no delivery shows, at the start and once per hour: consumer groups that nothing reads for, a wrong
 * `PARTITIONS`, and clocks that differ.
 */
export function watchLastingProblems({ log, ...options }: LastingProblemsOptions): {
  start(): void
  stop(): Promise<void>
} {
  // If Redis does not answer, the monitor reports that.
  const loop = createPollingLoop(check, INTERVAL_MS, () => {})
  return { start: loop.runNow, stop: loop.stop }

  async function check(): Promise<void> {
    // These problems do not depend on secrets and sources.
    const { problems } = await readStatus({
      ...options,
      configuration: { changed: [], secrets: [] },
      sources: []
    })
    for (const { id, summary, consequence, fix } of problems) {
      const advice = { consequence, fix }
      if (id === 'no_members') log.warn(advice, `a consumer group has no members: ${summary}`)
      if (id === 'clocks_differ') log.warn(advice, `the clocks differ: ${summary}`)
      if (id === 'partitions_lowered' || id === 'replica_partitions') {
        log.warn(advice, `PARTITIONS is probably wrong: ${summary}`)
      }
    }
  }
}
