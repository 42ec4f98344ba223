import { ConfigError } from '../errors.ts'
import { pathOf } from '../json-pointer.ts'
import { loadPolicy } from '../sanitize/policy.ts'
import { compileSanitizer, type Sanitizer } from '../sanitize/sanitize.ts'
import type { Secret } from '../secret.ts'
import { readConsole } from './console.ts'
import { readConsumersFile } from './consumers-file.ts'
import { readCustomerIo, readReconcile } from './customer-io.ts'
import { describeConfiguration } from './describe.ts'
import type { Environment } from './environment.ts'
import { signingKeyText } from './parse.ts'
import { createReader, type Reader, readSecret } from './read-variables.ts'
import { redisTarget, runningRedis } from './redis-address.ts'
import { createDevelopmentKey } from './secrets/development-key.ts'
import type { OpenSecrets } from './secrets/open-secrets.ts'
import { DEFAULT_SCHEMES, DEFAULT_SOURCE, type Source, type SourceSettings, signingKeys } from './sources.ts'

/** The parts of the settings that the service needs, in the order in which they are loaded. */
const serviceParts = {
  /** Serve checks all variables, also those it does not use. Commands check only those that they use. */
  checkedVariables: reader => reader.checkAll(),
  production: reader => reader.value('NODE_ENV') === 'production',
  logLevel: reader => reader.value('LOG_LEVEL'),
  dataDir: reader => reader.value('DATA_DIR'),
  workers: reader => reader.value('WORKERS'),
  http: reader => ({
    port: reader.value('PORT'),
    host: reader.value('HOST'),
    keepAliveMs: reader.value('KEEP_ALIVE_SECONDS') * 1000,
    shutdownDelayMs: (reader.value('SHUTDOWN_DELAY_SECONDS') ?? (isProduction(reader) ? 5 : 0)) * 1000
  }),
  /** Before `sources`, which then has the key. */
  generatedKey: generateMissingKey,
  sources: readSources,
  signature: readTolerance,
  admission: reader => ({
    allowed: reader.value('CIO_ALLOWED_IPS'),
    loopbackAllowed: !isProduction(reader),
    policy: reader.value('CIO_IP_POLICY'),
    trustedProxies: reader.value('TRUSTED_PROXIES') ?? [],
    maxFailures: reader.value('RATE_LIMIT_MAX'),
    windowMs: reader.value('RATE_LIMIT_WINDOW_SECONDS') * 1000
  }),
  customerIo: readCustomerIo,
  appApiKey: reader => reader.secret('CIO_APP_API_KEY'),
  /** `private` in development: the service starts one of its own then. */
  redis: async reader => {
    const target = await redisTarget(reader)
    if (target.kind !== 'private' || !isProduction(reader)) return target
    throw new ConfigError(
      'REDIS_URL is missing: give redis://host:port, or set REDIS_SENTINELS or REDIS_CLUSTER_NODES'
    )
  },
  log: reader => ({
    keyPrefix: reader.value('CIO_KEY_PREFIX'),
    partitions: reader.value('PARTITIONS'),
    windowMs: reader.value('DEDUPE_WINDOW_SECONDS') * 1000,
    durability: reader.value('DURABILITY'),
    retentionMs: reader.value('EVENT_RETENTION_SECONDS') * 1000,
    maxLength: reader.value('EVENT_MAX_LENGTH'),
    parked: {
      maxAgeMs: reader.value('PARKED_RETENTION_SECONDS') * 1000,
      maxBytes: reader.value('PARKED_MAX_BYTES')
    },
    deadLetters: {
      maxAgeMs: reader.value('DEAD_LETTER_RETENTION_SECONDS') * 1000,
      maxBytes: reader.value('DEAD_LETTER_MAX_BYTES')
    }
  }),
  reconcile: readReconcile,
  /** Key of the hashes that stand for addresses; `undefined` if they are plain SHA-256. */
  hashKey: reader => reader.secret('PII_HASH_KEY'),
  dispatch: readDispatch,
  describe: reader => () => describeConfiguration(reader),
  metrics: reader => ({
    port: reader.value('METRICS_PORT'),
    allowed: reader.value('METRICS_ALLOWED_IPS')
  }),
  /** `undefined`: the console is off. */
  console: readConsole
} satisfies Parts

const commandParts = {
  /** The configured Redis, or the private one of a service that runs; `undefined` if there is neither. */
  runningRedis,
  /** Names of all sources. Reads none of their keys. */
  sourceNames: reader => [DEFAULT_SOURCE, ...reader.sourcesFile().map(source => source.name)],
  /** For commands that need keys or policies for some of their actions only. */
  loadSources: reader => () => readSources(reader),
  loadSourceSettings: reader => () => readSourceSettings(reader),
  loadHashKey: reader => () => reader.secret('PII_HASH_KEY'),
  /** @returns the current signing key of a source */
  findSigningKey: reader => (source: string) => findSigningKey(reader, source)
} satisfies Parts

type Parts = Readonly<Record<string, (reader: Reader) => unknown>>
const parts = { ...serviceParts, ...commandParts }
export type Part = keyof typeof parts

/** The parts that were asked for, and the secrets: to read them again, or to rotate them. */
export type Settings<Needs extends Part> = {
  readonly [P in Needs]: Awaited<ReturnType<(typeof parts)[P]>>
} & { readonly secrets: OpenSecrets }

export const serviceNeeds = Object.keys(serviceParts) as (keyof typeof serviceParts)[]
export type Config = Settings<keyof typeof serviceParts>

/**
 * The one way from the environment to settings, for the service and every command. A command asks for the parts that
 * it needs, so no other variable, file or secret has to be there.
 *
 * @param needs the parts that are loaded
 * @throws ConfigError with one line that names the variable, what was read (never a secret) and what is allowed
 */
export async function loadSettings<const Needs extends Part>(
  env: Environment,
  needs: readonly Needs[]
): Promise<Settings<Needs>> {
  const reader = createReader(env)
  const asked: ReadonlySet<string> = new Set(needs)
  const loaded: Record<string, unknown> = { secrets: reader.secrets }
  try {
    // One after the other, so that of several errors the first one is reported each time.
    for (const [part, load] of Object.entries(parts)) if (asked.has(part)) loaded[part] = await load(reader)
  } catch (error) {
    reader.secrets.close()
    throw error
  }
  return Object.freeze(loaded) as Settings<Needs>
}

const isProduction = (reader: Reader): boolean => reader.value('NODE_ENV') === 'production'

/** @returns the development key, if this start has created it: it is shown once */
async function generateMissingKey(reader: Reader): Promise<Secret | undefined> {
  const isConfigured = reader.secrets.findStored('cio-webhook-secret') !== undefined
  // A previous key without a current one: the development key must not take its place.
  if (!isConfigured && (await reader.secret('CIO_WEBHOOK_SECRET_PREVIOUS')) !== undefined) {
    throw new ConfigError(NO_SIGNING_KEY)
  }
  if ((await reader.secret('CIO_WEBHOOK_SECRET')) !== undefined) return undefined
  if (isConfigured || isProduction(reader)) throw new ConfigError(NO_SIGNING_KEY)
  return createDevelopmentKey(reader.value('DATA_DIR')) ? reader.secret('CIO_WEBHOOK_SECRET') : undefined
}

export const NO_SIGNING_KEY =
  'CIO_WEBHOOK_SECRET is missing: give the signing key that Customer.io shows beside the webhook, or its file as CIO_WEBHOOK_SECRET_FILE'

async function findSigningKey(reader: Reader, source: string): Promise<Secret | undefined> {
  if (source === DEFAULT_SOURCE) return reader.secret('CIO_WEBHOOK_SECRET')
  const path = reader.value('CIO_SOURCES_FILE')
  if (path === undefined) {
    throw new ConfigError(`CIO_SOURCES_FILE is missing: it has the key of the source ${source}`)
  }
  const found = reader.sourcesFile().find(({ name }) => name === source)
  if (found === undefined) throw new ConfigError(`CIO_SOURCES_FILE=${path}: the file has no source ${source}`)
  return readSecret('CIO_SOURCES_FILE', found.key, signingKeyText)
}

/** A replay near the end of the tolerance must still find its id in the dedupe window, so: the window less one hour. */
function readTolerance(reader: Reader) {
  const windowSeconds = reader.value('DEDUPE_WINDOW_SECONDS')
  const toleranceSeconds =
    reader.value('CIO_SIGNATURE_TOLERANCE_SECONDS') ??
    Math.max(windowSeconds - 3600, Math.ceil(windowSeconds / 2))
  if (toleranceSeconds <= windowSeconds) return { toleranceSeconds }
  throw new ConfigError(
    `CIO_SIGNATURE_TOLERANCE_SECONDS=${toleranceSeconds} is not allowed: at most DEDUPE_WINDOW_SECONDS=${windowSeconds}, or a replay would outlive what is remembered`
  )
}

/** All sources with their keys. The default one has no keys if none are configured. */
async function readSourceSettings(reader: Reader): Promise<readonly SourceSettings[]> {
  const current = await reader.secret('CIO_WEBHOOK_SECRET')
  const previous = await reader.secret('CIO_WEBHOOK_SECRET_PREVIOUS')
  const defaultSource: SourceSettings = {
    name: DEFAULT_SOURCE,
    keys: signingKeys(current?.reveal(), previous?.reveal()),
    schemes: DEFAULT_SCHEMES,
    idPointer: undefined,
    idHeader: undefined,
    policy: undefined
  }
  const further = reader.sourcesFile().map(async ({ key, previousKey, ...source }) => {
    const current = await readSecret('CIO_SOURCES_FILE', key, signingKeyText)
    const previous =
      previousKey &&
      (await readSecret('CIO_SOURCES_FILE', previousKey, signingKeyText, { mayBeMissing: true }))
    return { ...source, keys: signingKeys(current?.reveal(), previous?.reveal()) }
  })
  return [defaultSource, ...(await Promise.all(further))]
}

async function readSources(reader: Reader): Promise<ReadonlyMap<string, Source>> {
  const hashKey = await reader.secret('PII_HASH_KEY')
  return new Map(
    (await readSourceSettings(reader)).map(source => [
      source.name,
      { ...source, policy: policyOf(source, reader), sanitizer: sanitizerOf(source, reader, hashKey) }
    ])
  )
}

function policyOf({ policy, schemes }: SourceSettings, reader: Reader): string {
  const ofScheme = schemes.includes('cdp') ? 'pipelines' : 'customerio'
  return policy ?? reader.value('PII_POLICY') ?? ofScheme
}

function sanitizerOf(source: SourceSettings, reader: Reader, hashKey: Secret | undefined): Sanitizer {
  const { name, idPointer, policy } = source
  const chosen = policyOf(source, reader)
  try {
    return compileSanitizer(loadPolicy(chosen), {
      redactFields: reader.value('PII_REDACT_FIELDS'),
      hashKey: hashKey?.reveal(),
      idPaths: idPointer === undefined ? [] : [pathOf(idPointer)]
    })
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    const setting =
      policy === undefined
        ? `PII_POLICY=${chosen}`
        : `CIO_SOURCES_FILE=${reader.value('CIO_SOURCES_FILE')}: policy of the source ${name}`
    throw new ConfigError(`${setting}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

function readDispatch(reader: Reader) {
  const path = reader.value('CONSUMERS_FILE')
  const asked = reader.value('DISPATCH')
  if (path === undefined && asked === 'on') {
    throw new ConfigError(
      'DISPATCH=on is not allowed without CONSUMERS_FILE: give the file, or unset DISPATCH'
    )
  }
  return {
    consumers: path === undefined ? [] : readConsumersFile('CONSUMERS_FILE', path),
    isOn: path !== undefined && asked !== 'off',
    attemptLogLength: reader.value('ATTEMPT_LOG_LENGTH')
  }
}
