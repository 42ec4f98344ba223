// Tested by test/cli/rotate/command.test.ts and test/cli/providers.slow.test.ts.
import { ConfigError } from '../../errors.ts'
import { disconnectRedis, type RedisClient } from '../../redis/connect.ts'
import { loadSettings } from '../../settings/config.ts'
import type { Environment } from '../../settings/environment.ts'
import type { RedisAddress } from '../../settings/redis-address.ts'
import type { NewSecret } from '../../tools/rotate/key-steps.ts'
import { findRotations } from '../../tools/rotate/rotations.ts'
import type { TrackKeyRotation } from '../../tools/rotate/track-key.ts'
import type { NoRedis, WebhookKeyRotation } from '../../tools/rotate/webhook-key.ts'
import { connectForCommand, NO_REDIS, UnreachableRedis } from '../open-log.ts'

export type Rotation = Awaited<ReturnType<typeof openRotation>>

/** @param withRedis whether signing keys are concerned: a Track API key needs no Redis */
export async function openRotation(env: Environment, withRedis: boolean) {
  const needs = ['customerIo', 'dataDir', 'sourceNames', 'log'] as const
  const settings = await loadSettings(env, withRedis ? [...needs, 'runningRedis'] : needs)
  const { secrets } = settings
  const redis = withRedis && 'runningRedis' in settings ? await connect(settings.runningRedis) : undefined
  const rotations = findRotations(settings, redis)

  return {
    sources: settings.sourceNames,
    rotations,
    /** @throws ConfigError if no place is configured for the key */
    trackKey: (): TrackKeyRotation =>
      rotations.trackKey() ?? missing(secrets.find('cio-site-id') ? 'CIO_API_KEY' : 'CIO_SITE_ID'),
    webhookKey: (source: string): WebhookKeyRotation =>
      rotations.webhookKey(source) ?? missing('CIO_WEBHOOK_SECRET'),
    newSecret: (name: string, newName = `${name}-v2`): NewSecret => ({
      name: newName,
      handle: secrets.sibling(name, newName)
    }),
    close(): void {
      secrets.close()
      if (redis !== undefined && !('problem' in redis)) disconnectRedis(redis)
    }
  }
}

function missing(variable: string): never {
  throw new ConfigError(
    `${variable} is missing: give it, or its file as ${variable}_FILE, or set SECRETS_PROVIDER`
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
