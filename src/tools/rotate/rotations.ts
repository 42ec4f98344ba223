// Tested by test/cli/rotate/command.test.ts and test/console/api.slow.test.ts.
import { trackProbe } from '../../customerio/track-api.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Settings } from '../../settings/config.ts'
import { signingKeyName } from '../../settings/sources.ts'
import { readReplicaKeys } from './replica-keys.ts'
import { quietSecondsOf, rotationRecord } from './state.ts'
import { type RotationStatus, trackKeyStatus, webhookKeyStatus } from './status.ts'
import type { TrackKeyRotation } from './track-key.ts'
import type { NoRedis, RotationRedis, WebhookKeyRotation } from './webhook-key.ts'

export type Rotations = ReturnType<typeof findRotations>

/** The keys that can be rotated. @param redis `undefined` if only the Track API key is concerned */
export function findRotations(
  { secrets, customerIo, dataDir, log }: Settings<'customerIo' | 'dataDir' | 'log'>,
  redis: RedisClient | NoRedis | undefined
) {
  const record = rotationRecord(dataDir)
  const now = (): Date => new Date()
  return {
    /** @returns `undefined` if no place is configured for the key */
    trackKey: (): TrackKeyRotation | undefined => {
      const [apiKey, siteId] = [secrets.find('cio-api-key'), secrets.find('cio-site-id')]
      if (apiKey === undefined || siteId === undefined) return undefined
      return { apiKey, siteId, probe: trackProbe(customerIo), record, now }
    },
    /** @returns `undefined` if no place is configured for the key */
    webhookKey: (source: string): WebhookKeyRotation | undefined => {
      const signingKey = secrets.find(signingKeyName(source))
      if (signingKey === undefined || redis === undefined) return undefined
      return {
        ...{ source, signingKey, record, now },
        redis: 'problem' in redis ? redis : rotationRedis(redis, log.keyPrefix, source)
      }
    },
    quietSeconds: (source: string) => quietSecondsOf(record, source)
  }
}

/** @param quietSeconds instead of what was chosen when each rotation was started */
export async function readRotationStatus(
  rotations: Rotations,
  sources: readonly string[],
  quietSeconds?: number
): Promise<RotationStatus> {
  const webhookKeys = await Promise.all(
    sources.map(async source => {
      const parts = rotations.webhookKey(source)
      return parts && webhookKeyStatus(parts, quietSeconds ?? (await rotations.quietSeconds(source)))
    })
  )
  const trackKey = rotations.trackKey()
  return {
    trackKey: trackKey && (await trackKeyStatus(trackKey)),
    webhookKeys: webhookKeys.filter(one => one !== undefined)
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
