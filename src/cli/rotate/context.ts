// Tested by test/cli/rotate/command.test.ts and test/cli/providers.test.ts.
import { trackProbe } from '../../customerio/track-api.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import { ConfigError } from '../../errors.ts'
import { disconnectRedis, type RedisClient } from '../../redis/connect.ts'
import { loadSettings } from '../../settings/config.ts'
import type { Environment } from '../../settings/environment.ts'
import type { RedisAddress } from '../../settings/redis-address.ts'
import { signingKeyName } from '../../settings/sources.ts'
import type { NewSecret } from '../../tools/rotate/key-steps.ts'
import { readReplicaKeys } from '../../tools/rotate/replica-keys.ts'
import { quietSecondsOf, rotationRecord } from '../../tools/rotate/state.ts'
import type { TrackKeyRotation } from '../../tools/rotate/track-key.ts'
import type { NoRedis, RotationRedis, WebhookKeyRotation } from '../../tools/rotate/webhook-key.ts'
import { connectForCommand, NO_REDIS, UnreachableRedis } from '../open-log.ts'

export type Rotation = Awaited<ReturnType<typeof openRotation>>

/** @param withRedis whether signing keys are concerned: a Track API key needs no Redis */
export async function openRotation(env: Environment, withRedis: boolean) {
  const needs = ['customerIo', 'dataDir', 'sourceNames', 'log'] as const
  const settings = await loadSettings(env, withRedis ? [...needs, 'runningRedis'] : needs)
  const { secrets, customerIo, log } = settings
  const redis = withRedis && 'runningRedis' in settings ? await connect(settings.runningRedis) : undefined
  const record = rotationRecord(settings.dataDir)
  const now = (): Date => new Date()

  return {
    sources: settings.sourceNames,
    findTrackKey,
    findWebhookKey,
    /** @throws ConfigError if no place is configured for the key */
    trackKey: (): TrackKeyRotation =>
      findTrackKey() ?? missing(secrets.find('cio-site-id') ? 'CIO_API_KEY' : 'CIO_SITE_ID'),
    webhookKey: (source: string): WebhookKeyRotation =>
      findWebhookKey(source) ?? missing('CIO_WEBHOOK_SECRET'),
    newSecret: (name: string, newName = `${name}-v2`): NewSecret => ({
      name: newName,
      handle: secrets.sibling(name, newName)
    }),
    quietSeconds: (source: string) => quietSecondsOf(record, source),
    close(): void {
      secrets.close()
      if (redis !== undefined && !('problem' in redis)) disconnectRedis(redis)
    }
  }

  function findTrackKey(): TrackKeyRotation | undefined {
    const [apiKey, siteId] = [secrets.find('cio-api-key'), secrets.find('cio-site-id')]
    if (apiKey === undefined || siteId === undefined) return undefined
    return { apiKey, siteId, probe: trackProbe(customerIo), record, now }
  }

  function findWebhookKey(source: string): WebhookKeyRotation | undefined {
    const signingKey = secrets.find(signingKeyName(source))
    if (signingKey === undefined || redis === undefined) return undefined
    return {
      ...{ source, signingKey, record, now },
      redis: 'problem' in redis ? redis : rotationRedis(redis, log.keyPrefix, source)
    }
  }
}

function rotationRedis(redis: RedisClient, keyPrefix: string, source: string): RotationRedis {
  return {
    readKeys: () => readReplicaKeys(redis, keyPrefix, source),
    countSealed: async keyId => {
      let count = 0
      for await (const { delivery } of parkedDeliveries(redis, keyPrefix).list()) {
        if (delivery?.source !== source || !('keyId' in delivery.data)) continue
        if (delivery.data.keyId === keyId) count++
      }
      return count
    }
  }
}

function missing(variable: string): never {
  throw new ConfigError(
    `${variable} is missing: give it, or its file as ${variable}_FILE, or set SECRETS_PROVIDER=aws`
  )
}

/** A key can be switched without Redis, so its absence is for the rotation to report. */
async function connect(address: RedisAddress | undefined): Promise<RedisClient | NoRedis> {
  if (address === undefined) return { problem: NO_REDIS }
  try {
    return await connectForCommand(address)
  } catch (error) {
    if (error instanceof UnreachableRedis) return { problem: error.message }
    throw error
  }
}
