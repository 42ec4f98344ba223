import { ConfigError } from '../../errors.ts'
import { connectRedis, disconnectRedis, type RedisClient } from '../../redis/connect.ts'
import { monitorRedis } from '../../redis/monitor.ts'
import type { RedisAddress } from '../../settings/redis-address.ts'
import type { loadRotationConfig } from '../../settings/rotation.ts'
import { locateVariable } from '../../settings/secret-locations.ts'
import { connectProvider, locateSecrets, stored } from '../../settings/secrets/open-secrets.ts'
import { type SecretHandle, variableOf } from '../../settings/secrets/secret-handle.ts'
import { signingKeyName } from '../../settings/sources.ts'
import { readSightings } from '../../tools/rotate/replica-keys.ts'
import { rotationRecord } from '../../tools/rotate/state.ts'
import type { TrackKeyRotation } from '../../tools/rotate/track-key.ts'
import { trackProbe } from '../../tools/rotate/track-probe.ts'
import type { WebhookKeyRotation } from '../../tools/rotate/webhook-key.ts'

export type Rotation = Awaited<ReturnType<typeof openRotation>>

const DAY_SECONDS = 86_400
const REDIS_WAIT_MS = 2500

/** What the rotations work on, as configured. */
export async function openRotation(config: ReturnType<typeof loadRotationConfig>) {
  const provider = await connectProvider(config.secrets)
  const redis = config.redis && (await connected(config.redis))
  const secrets = locateSecrets(config.secrets.places, provider)
  const record = rotationRecord(config.dataDir)
  const now = (): Date => new Date()

  return {
    sources: config.sources,
    findTrackKey,
    findWebhookKey,
    /** @throws ConfigError where nothing says where the key is */
    trackKey: (): TrackKeyRotation =>
      findTrackKey() ?? missing(secrets.find('cio-site-id') ? 'CIO_API_KEY' : 'CIO_SITE_ID'),
    webhookKey: (source: string) => findWebhookKey(source) ?? missing('CIO_WEBHOOK_SECRET'),
    /** Where a new secret waits: its own variable, or beside the one it is to replace. */
    newSecret(name: string, newName: string): SecretHandle | undefined {
      const place = locateVariable(process.env, variableOf(newName))
      return place === undefined ? secrets.beside(name, newName) : stored(place)
    },
    /** As asked for when the rotation of this source's key began. */
    quietSeconds: async (source: string) =>
      (await record.read()).webhookKeys[source]?.quietSeconds ?? DAY_SECONDS,
    close(): void {
      provider.close()
      if (redis !== undefined) disconnectRedis(redis)
    }
  }

  function findTrackKey(): TrackKeyRotation | undefined {
    const [apiKey, siteId] = [secrets.find('cio-api-key'), secrets.find('cio-site-id')]
    if (apiKey === undefined || siteId === undefined) return undefined
    return { apiKey, siteId, probe: trackProbe(config.customerIo), record, now }
  }

  function findWebhookKey(source: string): (WebhookKeyRotation & { secretName: string }) | undefined {
    const secretName = signingKeyName(source)
    const signingKey = secrets.find(secretName)
    if (signingKey === undefined) return undefined
    const sightings = redis && (() => readSightings(redis, config.keyPrefix, source))
    return { secretName, source, signingKey, record, sightings, now }
  }
}

function missing(variable: string): never {
  throw new ConfigError(
    `${variable} is missing: give it, or its file as ${variable}_FILE, or set SECRETS_PROVIDER=aws`
  )
}

/**
 * @returns `undefined`, said on standard error, where Redis does not answer
 * @throws ConfigError when it refuses the database
 */
async function connected(address: RedisAddress): Promise<RedisClient | undefined> {
  const redis = connectRedis(address)
  redis.on('error', () => {})
  const monitor = monitorRedis({ redis })
  try {
    await monitor.waitUntilUp(REDIS_WAIT_MS)
    return redis
  } catch (error) {
    disconnectRedis(redis)
    if (error instanceof ConfigError) throw error
    process.stderr.write('cio-webhook rotate: Redis does not answer: what the replicas do is not known\n')
    return undefined
  } finally {
    monitor.stop()
  }
}
