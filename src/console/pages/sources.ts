// Tested by test/console/pages/sources.slow.test.ts and test/console/pages/sources-browser.slow.test.ts.
import { withTimeout } from '../../async/abort.ts'
import { errorCode, ReportedError } from '../../errors.ts'
import type { Source } from '../../settings/sources.ts'
import { readReplicaKeys } from '../../tools/rotate/replica-keys.ts'
import { findRotations } from '../../tools/rotate/rotations.ts'
import { type TrackKeyStatus, trackKeyStatus, webhookKeyStatus } from '../../tools/rotate/status.ts'
import type { ConsoleContext, ConsolePage } from '../context.ts'
import { html } from '../html.ts'
import { sendPage } from '../layout.ts'
import { publishedList, replicas } from './overview-parts.ts'
import { type SourceKeys, sourceSection, trackKeySection, type Unknown } from './source-parts.ts'

/** A store of secrets or a Redis that hangs must not make the page hang. */
const LIMIT_MS = 2500

/** Each source with its keys, what arrives, and what is refused. */
export const sourcesPage: ConsolePage = (app, context) => {
  app.get('/sources', { config: { access: 'viewer' } }, async (request, reply) => {
    const status = await context.status()
    const sources = [...context.config.sources.values()]
    const [trackKey, ...keys] = await Promise.all([
      readTrackKey(context),
      ...sources.map(source => readKeys(context, source))
    ])
    const sections = sources.map((source, index) =>
      sourceSection(source, status, keys[index] ?? { usage: undefined, rotation: undefined })
    )
    const body = html`<p class="lead">A key appears by its id only. Counts are of the last 24 hours.</p>
${status.outage === undefined ? undefined : html`<p class="error" role="alert">${status.outage}. What is in Redis is not known now.</p>`}
${sections}
${trackKey === undefined ? undefined : trackKeySection(trackKey)}
<h2>Replicas and the keys that they accept</h2>${replicas(status)}
<h2>Source addresses</h2>${publishedList(status, context.config.admission.allowed)}`
    return sendPage(request, reply, { title: 'Sources and keys', current: '/sources' }, body)
  })
}

async function readKeys(context: ConsoleContext, { name: source }: Source): Promise<SourceKeys> {
  const { redis, config, isRedisUp } = context
  const usage = isRedisUp()
    ? await withTimeout(
        LIMIT_MS,
        readReplicaKeys(redis, config.log.keyPrefix, source).catch(() => undefined)
      )
    : undefined
  const rotations = findRotations(config, usage === undefined ? noRedis : redis)
  const key = rotations.webhookKey(source)
  if (key === undefined) return { usage, rotation: undefined }
  const rotation = await read(async () => {
    const parts = usage === undefined ? key : { ...key, redis: { readKeys: async () => usage } }
    return webhookKeyStatus(parts, await rotations.quietSeconds(source))
  })
  return { usage, rotation }
}

const noRedis = { problem: 'Redis does not answer, so it is not known which keys are in use' }

/** @returns `undefined` if no Track API key is configured */
async function readTrackKey({ config }: ConsoleContext): Promise<TrackKeyStatus | Unknown | undefined> {
  const key = findRotations(config, undefined).trackKey()
  return key && read(() => trackKeyStatus(key))
}

/** Never rejects. */
async function read<T>(work: () => Promise<T>): Promise<T | Unknown> {
  try {
    const done = await withTimeout(
      LIMIT_MS,
      work().then(value => ({ value }))
    )
    return done?.value ?? { unknown: 'the store of the key does not answer' }
  } catch (error) {
    if (error instanceof ReportedError) return { unknown: error.message }
    return { unknown: errorCode(error) ?? (error instanceof Error ? error.name : 'unknown error') }
  }
}
