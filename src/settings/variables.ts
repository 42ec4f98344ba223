// Tested by test/settings/config.test.ts
import type { Secret } from '../secret.ts'
import { consoleVariables } from './console-variables.ts'
import {
  anyOr,
  cidr,
  durability,
  hostPort,
  httpUrl,
  integer,
  listOf,
  oneOf,
  proxies,
  redisUrl,
  signingKeyText,
  text
} from './parse.ts'
import { providerVariables } from './provider-variables.ts'
import {
  type Mandatory,
  type Optional,
  optional,
  type SecretText,
  secret,
  setting,
  type Variable
} from './variable.ts'

type Table = typeof variables
export type VariableName = keyof Table
export type SecretName = {
  [Name in VariableName]: Table[Name] extends SecretText ? Name : never
}[VariableName]
export type PlainName = Exclude<VariableName, SecretName>

/** The value of each variable that is not a secret. */
export type Values = {
  readonly [Name in PlainName]: Table[Name] extends Mandatory<infer T>
    ? T
    : Table[Name] extends Optional<infer T>
      ? T | undefined
      : never
}

/** Reads the variables, see read-variables.ts. */
export interface VariableReader {
  /** @throws ConfigError for a value that is empty or not allowed */
  value<Name extends PlainName>(name: Name): Values[Name]
  /**
   * @returns `undefined` for a secret that no store has
   * @throws ConfigError for one that is not allowed, that cannot be read, or whose file is missing
   */
  secret(name: SecretName): Promise<Secret | undefined>
}

const filePath = text('the path of a file')
const addresses = listOf(cidr)
/** 8 days: Customer.io retries a delivery for 7 days; one more day for clocks and backlogs. */
const DEDUPE_WINDOW_SECONDS = 8 * 24 * 60 * 60
const YEAR_SECONDS = 366 * 24 * 60 * 60
/** 30 days. */
const MONTH_SECONDS = '2592000'
/** 1 TiB. */
const MAX_BYTES = 2 ** 40

/**
 * Loopback, the private ranges of RFC 1918 and RFC 4193, and the shared range of RFC 6598, from which some clouds give
 * addresses to pods.
 */
const PRIVATE_RANGES = '127.0.0.0/8,::1,10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7'

/**
 * Every environment variable that the service reads, in the order of the documents. `.env.example` and the table in
 * README.md are generated from it.
 */
export const variables = {
  NODE_ENV: setting(
    oneOf('production', 'development', 'test'),
    'development',
    'In `production` no key is generated, loopback is not an allowed source, and no Redis is started'
  ),
  PORT: setting(integer(0, 65535), '3000', 'TCP port of the receiver; 0 chooses a free one'),
  HOST: setting(text('an address or host name', /^[\w.:-]+$/), '0.0.0.0', 'Address the receiver listens on'),
  LOG_LEVEL: setting(
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    'info',
    'Least severe log line that is written'
  ),
  WORKERS: setting(integer(1, 64), '1', 'Processes that share the port'),
  SHUTDOWN_DELAY_SECONDS: optional(
    integer(0, 60, 'seconds'),
    'How long after SIGTERM `/readyz` answers 503 while deliveries are still accepted, so that load balancers stop sending first; default 5 in production, else 0'
  ),
  KEEP_ALIVE_SECONDS: setting(
    integer(1, 86_400, 'seconds'),
    '620',
    'How long an idle connection is kept open; must be longer than the idle timeout of your load balancer, or it occasionally answers 502'
  ),
  DATA_DIR: setting(text('a folder'), './data', 'Folder of the development key and the private Redis'),

  CIO_WEBHOOK_SECRET: secret(signingKeyText, 'Signing key of the default source'),
  CIO_WEBHOOK_SECRET_PREVIOUS: secret(
    signingKeyText,
    'Previous signing key, still accepted during a rotation'
  ),
  CIO_SOURCES_FILE: optional(
    filePath,
    'JSON file with further sources: names, keys, schemes, id pointer, id header, policy'
  ),
  CIO_SIGNATURE_TOLERANCE_SECONDS: optional(
    integer(1, YEAR_SECONDS, 'seconds'),
    'How old a signed timestamp may be; default the dedupe window less one hour'
  ),
  CIO_ALLOWED_IPS: optional(
    anyOr(addresses),
    'Source addresses that may deliver, `*` for any; default the list Customer.io publishes'
  ),
  CIO_IP_POLICY: setting(
    oneOf('enforce', 'report'),
    'enforce',
    '`enforce` refuses a delivery from an unlisted address, `report` only counts it'
  ),
  CIO_SITE_ID: secret(
    text('a site id'),
    'Site id of the Track API key; `cio-webhook rotate` checks keys with it'
  ),
  CIO_API_KEY: secret(text('a Track API key'), 'Track API key, rotated by `cio-webhook rotate`'),
  CIO_APP_API_KEY: secret(
    text('an App API key'),
    'App API key; with it the list of source addresses is read from Customer.io every hour, and the reporting webhook is checked every five minutes'
  ),
  RECONCILE: setting(
    oneOf('off', 'report', 'fill'),
    'report',
    'With an App API key, the service compares its log with the messages that Customer.io lists once per hour: `report` only reports missing events, `fill` also appends them (docs/completeness.md)'
  ),
  RECONCILE_DAYS: setting(
    integer(1, 180, 'days'),
    '8',
    'How far back `cio-webhook reconcile` can compare: how long it is remembered which events were appended, about 22 bytes of Redis memory per event'
  ),
  CIO_REGION: setting(oneOf('us', 'eu'), 'us', 'Region of the account at Customer.io'),
  CIO_TRACK_URL: optional(httpUrl, 'Base URL of the Track API if a proxy is in between; default by region'),
  CIO_APP_URL: optional(httpUrl, 'Base URL of the App API if a proxy is in between; default by region'),
  SECRETS_PROVIDER: setting(
    oneOf('environment', 'aws', 'vault', 'gcp', 'azure'),
    'environment',
    'Where secrets are that are given neither as `NAME` nor as `NAME_FILE`: nowhere (`environment`), in AWS Secrets Manager (`aws`), Vault or OpenBao (`vault`), Google Secret Manager (`gcp`), or Azure Key Vault (`azure`): docs/secrets.md'
  ),
  SECRETS_PREFIX: optional(
    text('up to 200 letters, digits and /_+=.@-', /^[\w/+=.@-]{1,200}$/),
    'Prefix of the names of secrets in the provider: with `prod/`, `CIO_API_KEY` is `prod/cio-api-key`'
  ),
  SECRETS_REFRESH_SECONDS: setting(
    integer(1, 3600, 'seconds'),
    '60',
    'How often signing keys are read again from the provider; files are read every second'
  ),
  ...providerVariables,

  TRUSTED_PROXIES: optional(proxies, 'Proxies whose `x-forwarded-for` is trusted; default none'),
  RATE_LIMIT_MAX: setting(
    integer(1, 1_000_000),
    '60',
    'Failed attempts that an unlisted address has per window'
  ),
  RATE_LIMIT_WINDOW_SECONDS: setting(integer(1, 86_400, 'seconds'), '60', 'Length of that window'),

  REDIS_URL: secret(redisUrl, 'A single Redis, `redis://user:password@host:port/db` or `rediss://…`'),
  REDIS_SENTINELS: optional(listOf(hostPort), 'Redis behind Sentinel: the sentinels'),
  REDIS_SENTINEL_MASTER: setting(text('a name'), 'mymaster', 'The name of the master at the sentinels'),
  REDIS_CLUSTER_NODES: optional(listOf(hostPort), 'Redis Cluster: some of its nodes'),
  REDIS_USERNAME: optional(text('a user name'), 'Redis user, for Sentinel and Cluster'),
  REDIS_PASSWORD: secret(text('a password'), 'Redis password, for Sentinel and Cluster'),
  REDIS_TLS: setting(oneOf('on', 'off'), 'off', 'TLS to Redis, for Sentinel and Cluster'),
  CIO_KEY_PREFIX: setting(
    text('up to 64 letters, digits, and _ . : -', /^[\w.:-]{1,64}$/),
    'cio:',
    'Prefix of every key in Redis'
  ),
  DEDUPE_WINDOW_SECONDS: setting(
    integer(1, YEAR_SECONDS, 'seconds'),
    String(DEDUPE_WINDOW_SECONDS),
    'How long an event id is remembered, at least'
  ),
  DURABILITY: setting(
    durability,
    'server',
    'What a 200 promises: `server` (what this Redis is configured to keep), `fsync` (on disk), `replicated:<n>` (on n replicas too)'
  ),
  EVENT_RETENTION_SECONDS: setting(
    integer(1, 10 * YEAR_SECONDS, 'seconds'),
    '86400',
    'Age from which an event that every consumer group has acknowledged is trimmed; earlier when Redis uses over 80 % of its `maxmemory`'
  ),
  EVENT_MAX_LENGTH: setting(
    integer(1, 1_000_000_000, 'events'),
    '5000000',
    'Hard cap per partition; unread events are never trimmed, the service answers 503 instead'
  ),
  PARKED_RETENTION_SECONDS: setting(
    integer(1, 10 * YEAR_SECONDS, 'seconds'),
    MONTH_SECONDS,
    'Age from which a parked delivery is dropped'
  ),
  PARKED_MAX_BYTES: setting(
    integer(1, MAX_BYTES, 'bytes'),
    '67108864',
    'Redis memory that parked deliveries may take, at most a tenth of `maxmemory`; beyond it the oldest are dropped'
  ),
  DEAD_LETTER_RETENTION_SECONDS: setting(
    integer(1, 10 * YEAR_SECONDS, 'seconds'),
    MONTH_SECONDS,
    'Age from which a dead letter is dropped'
  ),
  DEAD_LETTER_MAX_BYTES: setting(
    integer(1, MAX_BYTES, 'bytes'),
    '67108864',
    'Redis memory that the dead letters of one consumer may take, at most a tenth of `maxmemory`; beyond it the oldest are dropped'
  ),
  PARTITIONS: setting(integer(1, 1024), '1', 'Streams the log is spread over, by customer id'),

  PII_POLICY: optional(
    text('customerio, pipelines, basic, or the path of a JSON file'),
    'What is personal data: `customerio`, `pipelines`, `basic`, or a JSON file; default `pipelines` for sources with the scheme `cdp`, else `customerio` (docs/pii.md). A `policy` in `CIO_SOURCES_FILE` takes precedence'
  ),
  PII_REDACT_FIELDS: optional(
    listOf(text('a field name', /^[^\s,]{1,128}$/)),
    'Further field names whose values are redacted'
  ),
  PII_HASH_KEY: secret(text('a key'), 'Key of the hashes that stand for addresses (HMAC-SHA256)'),

  CONSUMERS_FILE: optional(filePath, 'JSON file with the push consumers: see docs/consumers.md'),
  DISPATCH: optional(
    oneOf('on', 'off'),
    'Whether this replica delivers to the consumers of `CONSUMERS_FILE`; default `on` if it is set'
  ),
  ATTEMPT_LOG_LENGTH: setting(
    integer(0, 100_000, 'attempts'),
    '10000',
    'Attempts to deliver an event that are kept per push consumer, about; 0 keeps none'
  ),

  METRICS_PORT: optional(integer(0, 65535), 'Separate port for `/metrics`'),
  METRICS_ALLOWED_IPS: setting(addresses, PRIVATE_RANGES, 'Addresses that may read `/metrics`'),

  ...consoleVariables
} as const satisfies Record<string, Variable<unknown>>

export const isSecret = (name: VariableName): name is SecretName => variables[name].secret
