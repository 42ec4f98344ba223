// Tested by test/cli/serve/check.slow.test.ts.
import { createServer } from 'node:net'
import { errorCode } from '../../errors.ts'
import { errorCause } from '../../redis/causes.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { RedisFailure } from '../../redis/failure.ts'
import { connectedReplicas } from '../../redis/replicas.ts'
import { inspectServers, type ServerFacts, serverName, unmetRequirement } from '../../redis/server-facts.ts'
import type { Config } from '../../settings/config.ts'
import { missingPermissions } from './redis-permissions.ts'

/** One check of `serve --check`. */
export interface PreflightResult {
  readonly check: string
  readonly status: 'pass' | 'warn' | 'fail'
  /** What was found. */
  readonly detail: string
  /** What to do; only for `warn` and `fail`. */
  readonly fix?: string
}

/** @param redis the connection, or why there is none */
export async function checkRedis(
  { production, log }: Pick<Config, 'production' | 'log'>,
  address: string,
  redis: RedisClient | RedisFailure
): Promise<readonly PreflightResult[]> {
  if ('cause' in redis) {
    const fix = 'start Redis, or correct REDIS_URL (or REDIS_SENTINELS, REDIS_CLUSTER_NODES)'
    return [{ check: 'redis', status: 'fail', detail: `${redis.address}: ${redis.cause}`, fix }]
  }
  try {
    const facts = await inspectServers(redis)
    return [
      serverResult(address, facts, log.durability),
      persistenceResult(facts, production),
      ...(await replicaResult(redis, log.durability)),
      await permissionResult(redis, log, facts)
    ]
  } catch (error) {
    const detail = `${address}: ${errorCause(error) ?? 'no reply in time, or the connection was lost'}`
    return [{ check: 'redis', status: 'fail', detail, fix: 'permit the command, or check Redis' }]
  }
}

function serverResult(
  address: string,
  facts: ServerFacts,
  durability: Config['log']['durability']
): PreflightResult {
  const problem = unmetRequirement(facts, durability)
  const detail = `${address}, ${serverName(facts)}, DURABILITY=${durability.level}`
  return problem === undefined
    ? { check: 'redis', status: 'pass', detail }
    : { check: 'redis', status: 'fail', detail, fix: problem }
}

function persistenceResult({ persistence }: ServerFacts, production: boolean): PreflightResult {
  const check = 'redis persistence'
  if (persistence.startsWith('aof') || !production) return { check, status: 'pass', detail: persistence }
  const fix =
    persistence === 'unknown'
      ? 'permit CONFIG|GET, or check with your provider that there is an append-only file'
      : 'set "appendonly yes" and "maxmemory-policy noeviction": otherwise events that were answered with 200 can be lost'
  return { check, status: 'warn', detail: persistence, fix }
}

async function replicaResult(
  redis: RedisClient,
  durability: Config['log']['durability']
): Promise<readonly PreflightResult[]> {
  if (durability.level !== 'replicated') return []
  const connected = await connectedReplicas(redis)
  const enough = connected >= durability.replicas
  const detail = `${connected} connected, DURABILITY asks for ${durability.replicas}`
  const fix = 'connect more replicas, or lower n in DURABILITY=replicated:n: otherwise deliveries get 503'
  return [
    { check: 'redis replicas', ...(enough ? { status: 'pass', detail } : { status: 'fail', detail, fix }) }
  ]
}

async function permissionResult(
  redis: RedisClient,
  log: Config['log'],
  facts: ServerFacts
): Promise<PreflightResult> {
  const check = 'redis permissions'
  const { keyPrefix } = log
  const { needed, optional } = await missingPermissions(redis, log, facts)
  const grant = (commands: readonly string[]): string =>
    `grant them: ACL SETUSER <user> ${commands.map(command => `+${command}`).join(' ')} ~${keyPrefix}*`
  if (needed.length > 0) {
    return { check, status: 'fail', detail: `not permitted: ${needed.join(', ')}`, fix: grant(needed) }
  }
  return optional.length > 0
    ? { check, status: 'warn', detail: `not permitted: ${optional.join(', ')}`, fix: grant(optional) }
    : { check, status: 'pass', detail: `every command that the service uses, on ${keyPrefix}*` }
}

/** Whether the port is free. Listens for a moment, and accepts no connection. */
export async function checkPort(
  variable: 'PORT' | 'METRICS_PORT' | 'CONSOLE_PORT',
  port: number,
  host: string
): Promise<PreflightResult> {
  const check = variable
  const server = createServer(socket => socket.destroy())
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host, exclusive: true }, resolve)
    })
    return { check, status: 'pass', detail: port === 0 ? 'a free one is chosen' : `${host}:${port} is free` }
  } catch (error) {
    const detail = `cannot listen on ${host}:${port} (${errorCode(error) ?? 'unknown'})`
    const fix = `nothing, if that is this service, running with the same settings; otherwise end the program that listens there, or set ${variable} to a free port`
    return { check, status: 'fail', detail, fix }
  } finally {
    server.close()
  }
}

/** The signing keys that were read, by their ids. */
export const checkSources = ({ sources }: Pick<Config, 'sources'>): readonly PreflightResult[] =>
  [...sources.values()].map(({ name, keys }) => ({
    check: `source ${name}`,
    status: 'pass',
    detail: `signing key: ${keys.map(({ label, id }) => `${label} ${id}`).join(', ')}`
  }))

/** What the service warns about at the start. */
export const checkProxies = ({
  production,
  admission
}: Pick<Config, 'production' | 'admission'>): PreflightResult =>
  production && admission.trustedProxies.length === 0
    ? {
        check: 'TRUSTED_PROXIES',
        status: 'warn',
        detail: 'not set: behind a load balancer every delivery comes from its address',
        fix: 'set it to the addresses of your proxies'
      }
    : { check: 'TRUSTED_PROXIES', status: 'pass', detail: admission.trustedProxies.join(', ') || 'none' }
