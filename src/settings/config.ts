import { ConfigError } from '../errors.ts'
import { pathOf } from '../json-pointer.ts'
import { loadPolicy } from '../sanitize/policy.ts'
import { compileSanitizer, type Sanitizer } from '../sanitize/sanitize.ts'
import { Secret } from '../secret.ts'
import { readConsumersFile } from './consumers-file.ts'
import { customerIo } from './customer-io.ts'
import { type HostPort, refusalOf } from './parse.ts'
import { secretSettings } from './secret-locations.ts'
import {
  checkSigningKey,
  DEFAULT_SCHEMES,
  DEFAULT_SOURCE,
  type FurtherSources,
  readPreviousFile,
  readSecretFile,
  readSourcesFile,
  type Source,
  type SourceSettings,
  signingKeys
} from './sources.ts'
import { type Values, type Variable, variables } from './variables.ts'

type Environment = Readonly<Record<string, string | undefined>>

export type RedisTarget =
  | { readonly kind: 'standalone'; readonly url: Secret }
  | {
      readonly kind: 'sentinel'
      readonly nodes: readonly HostPort[]
      readonly master: string
      readonly login: RedisLogin
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly HostPort[]; readonly login: RedisLogin }
  | { readonly kind: 'private' }

export interface RedisLogin {
  readonly username: string | undefined
  readonly password: Secret | undefined
  readonly tls: boolean
}

export type Config = ReturnType<typeof loadConfig>

/** What loading the configuration may do besides reading: make the development key. */
export interface ConfigEffects {
  /** @returns the key kept in the folder, made there on the first run */
  readonly developmentKey: (dataDir: string) => { readonly key: string; readonly created: boolean }
}

/**
 * The one reader of the environment.
 *
 * @param provided the values of secrets that lie in the secrets provider, by variable
 * @throws ConfigError with one line that names the variable, what was read (a secret never) and what is allowed
 */
export function loadConfig(
  env: Environment,
  effects: ConfigEffects,
  provided: Readonly<Record<string, string>> = {}
) {
  const values = readValues(env, provided)
  const production = values.NODE_ENV === 'production'
  const { key, created } = defaultKey(values, production, effects)

  const toleranceSeconds =
    values.CIO_SIGNATURE_TOLERANCE_SECONDS ?? defaultTolerance(values.DEDUPE_WINDOW_SECONDS)
  if (toleranceSeconds > values.DEDUPE_WINDOW_SECONDS) {
    throw new ConfigError(
      `CIO_SIGNATURE_TOLERANCE_SECONDS=${toleranceSeconds} is not allowed: at most DEDUPE_WINDOW_SECONDS=${values.DEDUPE_WINDOW_SECONDS}, or a replay would outlive what is remembered`
    )
  }

  const further: FurtherSources =
    values.CIO_SOURCES_FILE === undefined
      ? { sources: [], keyFiles: new Map() }
      : readSourcesFile('CIO_SOURCES_FILE', values.CIO_SOURCES_FILE)
  return Object.freeze({
    production,
    logLevel: values.LOG_LEVEL,
    http: {
      port: values.PORT,
      host: values.HOST,
      keepAliveMs: values.KEEP_ALIVE_SECONDS * 1000,
      shutdownDelayMs: (values.SHUTDOWN_DELAY_SECONDS ?? (production ? 5 : 0)) * 1000
    },
    workers: values.WORKERS,
    dataDir: values.DATA_DIR,
    sources: sourcesByName(values, key, further.sources),
    secrets: secretSettings(values, env, further.keyFiles),
    customerIo: customerIo(values),
    /** A development key that this start has made: shown once. */
    newKey: created ? new Secret(key) : undefined,
    signature: { toleranceSeconds },
    admission: {
      allowed: values.CIO_ALLOWED_IPS,
      loopbackAllowed: !production,
      policy: values.CIO_IP_POLICY,
      trustedProxies: values.TRUSTED_PROXIES ?? [],
      maxFailures: values.RATE_LIMIT_MAX,
      windowMs: values.RATE_LIMIT_WINDOW_SECONDS * 1000
    },
    redis: redisTarget(values, production),
    log: {
      keyPrefix: values.CIO_KEY_PREFIX,
      partitions: values.PARTITIONS,
      windowMs: values.DEDUPE_WINDOW_SECONDS * 1000,
      durability: values.DURABILITY,
      retentionMs: values.EVENT_RETENTION_SECONDS * 1000,
      maxLength: values.EVENT_MAX_LENGTH,
      parked: { maxAgeMs: values.PARKED_RETENTION_SECONDS * 1000, maxBytes: values.PARKED_MAX_BYTES },
      deadLetters: {
        maxAgeMs: values.DEAD_LETTER_RETENTION_SECONDS * 1000,
        maxBytes: values.DEAD_LETTER_MAX_BYTES
      }
    },
    dispatch: readDispatch(values),
    metrics: { port: values.METRICS_PORT, allowed: values.METRICS_ALLOWED_IPS }
  })
}

/** The window less one hour, so that a replay near the end of the tolerance still meets a remembered id. */
function defaultTolerance(windowSeconds: number): number {
  return Math.max(windowSeconds - 3600, Math.ceil(windowSeconds / 2))
}

export function readValues(env: Environment, provided: Readonly<Record<string, string>> = {}): Values {
  const entries = Object.entries(variables).map(([name, variable]) => [
    name,
    readValue(env, name, variable, provided)
  ])
  return Object.fromEntries(entries) as Values
}

function readValue(
  env: Environment,
  name: string,
  variable: Variable<unknown>,
  provided: Readonly<Record<string, string>>
): unknown {
  const path = variable.secret ? env[`${name}_FILE`] : undefined
  if (path !== undefined && env[name] !== undefined) {
    throw new ConfigError(`${name} and ${name}_FILE are both set: unset one of them`)
  }
  const read = path === undefined ? env[name] : readFromFile(name, path)
  if (read === '') throw new ConfigError(`${name} is set but empty: unset it, or give ${variable.allowed}`)
  const given = read ?? provided[name] ?? variable.fallback
  if (given === undefined) return undefined
  const value = variable.parse(given)
  if (value === undefined) {
    const place = path === undefined ? name : `${name}_FILE=${path}`
    const shown = variable.secret ? place : `${name}=${JSON.stringify(given).slice(1, -1)}`
    throw new ConfigError(`${shown} is not allowed: ${refusalOf(variable, given)}`)
  }
  return value
}

const readFromFile = (name: string, path: string): string | undefined =>
  name.endsWith('_PREVIOUS') ? readPreviousFile(`${name}_FILE`, path) : readSecretFile(`${name}_FILE`, path)

function defaultKey(values: Values, production: boolean, effects: ConfigEffects) {
  if (values.CIO_WEBHOOK_SECRET !== undefined) return { key: values.CIO_WEBHOOK_SECRET, created: false }
  if (production || values.CIO_WEBHOOK_SECRET_PREVIOUS !== undefined) {
    throw new ConfigError(
      'CIO_WEBHOOK_SECRET is missing: give the signing key that Customer.io shows beside the webhook, or its file as CIO_WEBHOOK_SECRET_FILE'
    )
  }
  const made = effects.developmentKey(values.DATA_DIR)
  checkSigningKey(`the development key in DATA_DIR=${values.DATA_DIR}`, made.key)
  return made
}

function sourcesByName(
  values: Values,
  key: string,
  further: readonly SourceSettings[]
): ReadonlyMap<string, Source> {
  const fallback: SourceSettings = {
    name: DEFAULT_SOURCE,
    keys: signingKeys(key, values.CIO_WEBHOOK_SECRET_PREVIOUS),
    schemes: DEFAULT_SCHEMES,
    idPointer: undefined,
    idHeader: undefined,
    policy: undefined
  }
  return new Map(
    [fallback, ...further].map(source => [source.name, { ...source, sanitizer: sanitizerOf(source, values) }])
  )
}

function sanitizerOf({ name, schemes, idPointer, policy }: SourceSettings, values: Values): Sanitizer {
  const ofScheme = schemes.includes('cdp') ? 'pipelines' : 'customerio'
  const chosen = policy ?? values.PII_POLICY ?? ofScheme
  try {
    return compileSanitizer(loadPolicy(chosen), {
      redactFields: values.PII_REDACT_FIELDS,
      hashKey: values.PII_HASH_KEY,
      idPaths: idPointer === undefined ? [] : idPaths(idPointer)
    })
  } catch (cause) {
    const setting =
      policy === undefined
        ? `PII_POLICY=${chosen}`
        : `CIO_SOURCES_FILE=${values.CIO_SOURCES_FILE}: policy of the source ${name}`
    throw new ConfigError(`${setting}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** The policy looks through arrays. A number in a pointer can be an index or a name. */
function idPaths(pointer: string): readonly (readonly string[])[] {
  const path = pathOf(pointer)
  const names = path.filter(name => !/^\d+$/.test(name))
  return names.length === path.length || names.length === 0 ? [path] : [path, names]
}

function readDispatch({ CONSUMERS_FILE: path, DISPATCH: asked }: Values) {
  if (path === undefined && asked === 'on') {
    throw new ConfigError(
      'DISPATCH=on is not allowed without CONSUMERS_FILE: give the file, or unset DISPATCH'
    )
  }
  return {
    consumers: path === undefined ? [] : readConsumersFile('CONSUMERS_FILE', path),
    isOn: path !== undefined && asked !== 'off'
  }
}

export function redisTarget(values: Values, production: boolean): RedisTarget {
  const { REDIS_URL: url, REDIS_SENTINELS: sentinels, REDIS_CLUSTER_NODES: cluster } = values
  const given = Object.entries({ REDIS_URL: url, REDIS_SENTINELS: sentinels, REDIS_CLUSTER_NODES: cluster })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name)
  if (given.length > 1) throw new ConfigError(`${given.join(' and ')} are set: unset all but one of them`)

  const login: RedisLogin = {
    username: values.REDIS_USERNAME,
    password: values.REDIS_PASSWORD === undefined ? undefined : new Secret(values.REDIS_PASSWORD),
    tls: values.REDIS_TLS === 'on'
  }
  if (url !== undefined) return { kind: 'standalone', url: new Secret(url) }
  if (sentinels !== undefined) {
    return { kind: 'sentinel', nodes: sentinels, master: values.REDIS_SENTINEL_MASTER, login }
  }
  if (cluster !== undefined) return { kind: 'cluster', nodes: cluster, login }
  if (production) {
    throw new ConfigError(
      'REDIS_URL is missing: give redis://host:port, or set REDIS_SENTINELS or REDIS_CLUSTER_NODES'
    )
  }
  return { kind: 'private' }
}
