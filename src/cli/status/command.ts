import { disconnectRedis } from '../../redis/connect.ts'
import { loadSettings } from '../../settings/config.ts'
import type { Environment } from '../../settings/environment.ts'
import { describeRedis } from '../../settings/redis-address.ts'
import type { StatusReport } from '../../tools/status/facts.ts'
import { readStatus } from '../../tools/status/read-status.ts'
import { type Command, EXIT, parseCommandLine } from '../command.ts'
import { tryToConnect } from '../open-log.ts'
import { terminalStyle } from '../terminal.ts'
import { statusText } from './report.ts'

export const statusCommand: Command = {
  summary: 'show on one screen what works, and what to do about what does not',
  usage: `usage: cio-webhook status [--json]

Shows the state of a running service: configuration, Redis, deliveries by source, log, consumers, replicas, and problems
with the command or setting that fixes each. It reads the environment, like serve, and Redis. It changes nothing.

  --json        print JSON

Exit code: 0 no problem, 1 at least one problem (also if Redis is down), 2 could not run.`,
  run: async (args, env) => {
    const { values } = parseCommandLine({
      args: [...args],
      options: { json: { type: 'boolean', default: false } }
    })
    const status = await currentStatus(env, Date.now)
    const text = values.json
      ? `${JSON.stringify(status, null, 2)}\n`
      : statusText(status, terminalStyle(process.stdout, env))
    process.stdout.write(text)
    return status.problems.length === 0 ? EXIT.ok : EXIT.findings
  }
}

/** @param now unix milliseconds. @throws ConfigError for a bad setting */
export async function currentStatus(env: Environment, now: () => number): Promise<StatusReport> {
  const config = await loadSettings(env, [
    'production',
    'admission',
    'log',
    'dispatch',
    'describe',
    'runningRedis',
    'sourceNames'
  ])
  const address = config.runningRedis
  // Without Redis there is still something to show, and its cause is the first problem.
  const redis = address && (await tryToConnect(address))
  try {
    return await readStatus({
      config,
      configuration: await config.describe(),
      sources: config.sourceNames,
      redisAddress: address && describeRedis(address),
      redis,
      now
    })
  } finally {
    if (redis !== undefined && !('cause' in redis)) disconnectRedis(redis)
    config.secrets.close()
  }
}
