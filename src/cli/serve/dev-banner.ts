// Tested by test/cli/serve/command.test.ts and test/cli/serve/command.slow.test.ts.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { partitionKeys } from '../../log/keys.ts'
import { WEBHOOK_PATH } from '../../receive/route.ts'
import type { DevRedis } from '../../redis/private-server.ts'
import type { Service } from '../../service.ts'
import type { Config } from '../../settings/config.ts'
import type { RedisTarget } from '../../settings/redis-address.ts'
import { parseRedisUrl } from '../../settings/redis-url.ts'
import { DEVELOPMENT_KEY_FILE } from '../../settings/secrets/development-key.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import { macV0 } from '../../tools/send/sign.ts'

export type ServicePorts = Pick<Service, 'port' | 'consolePort'>

/**
 * What a development start prints: commands to paste that send an authentic delivery and a forged one, and show the
 * event in the log. A key that this start has created is shown here, once.
 *
 * @param consolePort `undefined` if the console is off, or runs in a worker
 */
export function devBanner(
  config: Config,
  { port, consolePort }: ServicePorts,
  devRedis: DevRedis | undefined
): string {
  const key = config.sources.get(DEFAULT_SOURCE)?.keys[0]?.secret.reveal() ?? ''
  const url = `http://localhost:${port}${WEBHOOK_PATH}`
  const timestamp = Math.floor(Date.now() / 1000)
  const body = JSON.stringify({
    event_id: randomUUID(),
    object_type: 'email',
    metric: 'opened',
    timestamp,
    data: { customer_id: '4711', recipient: 'ada@example.com', campaign_id: 23 }
  })
  const signature = macV0(key, Buffer.from(body), timestamp)
  const curl = `curl -X POST ${url} -H 'content-type: application/json'`
  const events = partitionKeys(config.log.keyPrefix, 0).events
  const cli = devRedis?.cli ?? redisCli(config.redis)
  const show = cli ? `${cli} XREVRANGE '${events}' + - COUNT 1` : 'cio-webhook events --count 1 --json'
  return `
cio-webhook is ready at ${url}
${consolePort === undefined ? '' : `Console in the browser: http://localhost:${consolePort}/\n`}${config.generatedKey === undefined ? '' : `\nA signing key for development was created in ${join(config.dataDir, DEVELOPMENT_KEY_FILE)}:\n  ${key}\n`}
Send a signed delivery (accepted):
  ${curl} -H 'x-cio-timestamp: ${timestamp}' -H 'x-cio-signature: ${signature}' -d '${body}'

Send one without a signature (refused):
  ${curl} -d '{"event": "test"}'

Show the newest event in the log:
  ${show}

`
}

/**
 * How redis-cli connects to a single Redis. It asks for the password, which must not be in a process list.
 *
 * @returns `undefined` for Sentinel and Cluster, where redis-cli would first have to find the right server
 */
function redisCli(redis: RedisTarget): string | undefined {
  const server = redis.kind === 'standalone' ? parseRedisUrl(redis.url.reveal()) : undefined
  if (server === undefined || 'problem' in server) return undefined
  const { host, port, database, tls, username, password } = server
  return [
    `redis-cli -h ${host} -p ${port}`,
    ...(database === 0 ? [] : [`-n ${database}`]),
    ...(tls ? ['--tls'] : []),
    ...(username ? [`--user '${username.replaceAll("'", "'\\''")}'`] : []),
    ...(password ? ['--askpass'] : [])
  ].join(' ')
}
