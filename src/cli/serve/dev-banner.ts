import { createHmac, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { partitionKeys } from '../../log/keys.ts'
import { WEBHOOK_PATH } from '../../receive/route.ts'
import type { DevRedis } from '../../redis/private-server.ts'
import type { Config } from '../../settings/config.ts'
import type { RedisTarget } from '../../settings/redis-address.ts'
import { parseRedisUrl } from '../../settings/redis-url.ts'
import { DEVELOPMENT_KEY_FILE } from '../../settings/secrets/development-key.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'

/**
 * How redis-cli reaches a single Redis. It asks for the password, which must not be in a process list.
 *
 * @returns `undefined` for Sentinel and Cluster, where redis-cli first has to find the right server
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

/**
 * What a development start shows: a delivery to paste that is accepted, one that is refused, and where the
 * event lands. A key that this start has made is shown here, once.
 */
export function welcome(config: Config, port: number, privateRedis: DevRedis | undefined): string {
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
  const signature = createHmac('sha256', key).update(`v0:${timestamp}:${body}`).digest('hex')
  const curl = `curl -X POST ${url} -H 'content-type: application/json'`
  const events = partitionKeys(config.log.keyPrefix, 0).events
  const cli = privateRedis?.cli ?? redisCli(config.redis)
  const look = cli ? `${cli} XREVRANGE '${events}' + - COUNT 1` : 'cio-webhook events --count 1 --json'
  return `
cio-webhook receives on ${url}
${config.generatedKey === undefined ? '' : `\nA signing key was made for development, in ${join(config.dataDir, DEVELOPMENT_KEY_FILE)}:\n  ${key}\n`}
Accepted:
  ${curl} -H 'x-cio-timestamp: ${timestamp}' -H 'x-cio-signature: ${signature}' -d '${body}'

Refused:
  ${curl} -d '{"event": "test"}'

Where the event landed:
  ${look}

`
}
