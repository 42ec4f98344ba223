import { z } from 'zod'
import { ConfigError } from '../errors.ts'
import { typeGlobProblem } from '../event-types.ts'
import { readJsonFile, readTextFile } from '../json-file.ts'
import { Secret } from '../secret.ts'
import { wrongEncoding } from './secrets/stray-characters.ts'

/** The push consumers of `CONSUMERS_FILE`, with the values of their secrets. */
export type ConsumerSettings = HttpSettings | NatsSettings | AmqpSettings
export type HttpSettings = ReturnType<typeof httpSettings>
export type NatsSettings = ReturnType<typeof natsSettings>
export type AmqpSettings = ReturnType<typeof amqpSettings>

const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS
const MEBIBYTE = 1024 * 1024

/** Standard Webhooks: 24 to 64 bytes, in base64, behind `whsec_` (specification 1.0, read 2026-11-24). */
const SECRET_BYTES = { min: 24, max: 64 }
const SECRET_RULE = 'must be whsec_ and 24 to 64 bytes in base64'

const text = z.string().min(1)
const count = (min: number, max: number) => z.int().min(min).max(max)
const signingSecret = z.string().refine(isSigningSecret, SECRET_RULE)
const typeGlob = z
  .string()
  .regex(/^[a-zA-Z0-9_.*?]{1,141}$/, { error: 'must be a glob such as email.* or *.bounced', abort: true })
  .refine(glob => !typeGlobProblem(glob), { error: ({ input }) => typeGlobProblem(String(input)) })

const shared = {
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be 1 to 64 lower-case letters, digits, _ or -')
    .describe('Name of the consumer, of its consumer group in Redis, and in metrics and commands'),
  types: z
    .array(typeGlob)
    .min(1)
    .optional()
    .describe('Globs over <object_type>.<metric>; absent: every event'),
  from: z
    .enum(['start', 'now'])
    .default('start')
    .describe('Where a new consumer starts: at the oldest event in the log, or at the next one')
}

const httpSchema = z
  .strictObject({
    ...shared,
    type: z.literal('http'),
    url: address('http:', 'https:').describe('Where each event is posted to'),
    secret: signingSecret.optional().describe('Standard Webhooks secret, whsec_<base64>'),
    secretFile: text.optional(),
    secretPrevious: signingSecret.optional().describe('A secret that also signs, during a rotation'),
    secretPreviousFile: text.optional(),
    concurrency: count(1, 1000).default(10).describe('Requests in flight at once, per replica'),
    timeoutMs: count(100, 120_000)
      .default(10 * SECOND_MS)
      .describe('Time for a request and its answer'),
    maxAttempts: count(1, 100).default(12).describe('Attempts before an event becomes a dead letter'),
    retryDelayMs: count(10, 24 * HOUR_MS)
      .default(10 * SECOND_MS)
      .describe('Pause after the first failure; each further one is three times as long'),
    maxRetryDelayMs: count(10, 7 * 24 * HOUR_MS)
      .default(6 * HOUR_MS)
      .describe('Longest pause; also the longest retry-after that is honoured'),
    backlog: count(1, 100_000)
      .default(1000)
      .describe('Events taken out of the log at once; the others wait in the log'),
    backlogBytes: count(1024, 1024 * MEBIBYTE)
      .default(16 * MEBIBYTE)
      .describe('The same in bytes of events; a larger event is sent alone')
  })
  .refine(oneOfTwo('secret', 'secretFile'), 'needs one of secret and secretFile')
  .refine(
    notBoth('secretPrevious', 'secretPreviousFile'),
    'takes one of secretPrevious and secretPreviousFile'
  )
  .refine(http => http.retryDelayMs <= http.maxRetryDelayMs, {
    path: ['retryDelayMs'],
    message: 'must not be longer than maxRetryDelayMs'
  })
  .refine(http => http.backlog >= http.concurrency, {
    path: ['backlog'],
    message: 'must not be smaller than concurrency'
  })

const natsSchema = z
  .strictObject({
    ...shared,
    type: z.literal('nats'),
    servers: z.array(address('nats:', 'tls:')).min(1).describe('Servers of one NATS cluster'),
    stream: z
      .string()
      .regex(/^[^\s.*>/\\]{1,64}$/, 'must be a stream name: no blanks, dots, *, > or slashes')
      .describe('JetStream stream; created with the subjects <subjectPrefix>.> if missing, never changed'),
    subjectPrefix: z
      .string()
      .regex(/^[\w-]+(\.[\w-]+)*$/, 'must be one or more words of letters, digits, _ and -, joined by dots'),
    user: text.optional(),
    password: text.optional(),
    passwordFile: text.optional(),
    token: text.optional(),
    tokenFile: text.optional()
  })
  .refine(notBoth('password', 'passwordFile'), 'takes one of password and passwordFile')
  .refine(notBoth('token', 'tokenFile'), 'takes one of token and tokenFile')
  .refine(togetherWith('user'), 'needs user and password together')
  .refine(nats => nats.user === undefined || (nats.token ?? nats.tokenFile) === undefined, {
    message: 'takes either user and password or token'
  })
  .refine(({ servers }) => servers.every(isTls) || !servers.some(isTls), {
    path: ['servers'],
    message: 'must all be tls:// addresses, or none'
  })

const amqpSchema = z
  .strictObject({
    ...shared,
    type: z.literal('amqp'),
    url: address('amqp:', 'amqps:').describe('Broker and virtual host, without credentials'),
    username: text.optional(),
    password: text.optional(),
    passwordFile: text.optional(),
    exchange: z
      .string()
      .regex(/^(?!amq\.)[\w.:-]{1,127}$/, 'must be letters, digits, _ . : - and not begin with amq.')
      .describe('Durable topic exchange; declared on each connection')
  })
  .refine(notBoth('password', 'passwordFile'), 'takes one of password and passwordFile')
  .refine(togetherWith('username'), 'needs username and password together')

const consumersSchema = z.strictObject({
  $schema: z.string().optional(),
  consumers: z
    .array(
      z.discriminatedUnion('type', [httpSchema, natsSchema, amqpSchema], {
        error: 'must be http, nats or amqp'
      })
    )
    .min(1)
    .superRefine((consumers, context) => {
      for (const [index, { name }] of consumers.entries()) {
        if (consumers.findIndex(other => other.name === name) === index) continue
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is taken by a consumer above' })
      }
    })
})

/**
 * The consumers of `CONSUMERS_FILE`.
 *
 * @throws ConfigError naming the line and the key; a secret's value never
 */
export function readConsumersFile(variable: string, path: string): readonly ConsumerSettings[] {
  return readJsonFile(variable, path, consumersSchema).consumers.map(consumer => {
    const where = `${variable}=${path}: ${consumer.name}`
    const secretOf = (value: string | undefined, key: string, file: string | undefined) => {
      if (value !== undefined) return new Secret(value)
      return file === undefined ? undefined : readSecretFile(`${where}: ${key}`, file)
    }
    if (consumer.type === 'nats') return natsSettings(consumer, secretOf)
    if (consumer.type === 'amqp') return amqpSettings(consumer, secretOf)
    const settings = httpSettings(consumer, secretOf)
    if (settings.secrets.every(secret => isSigningSecret(secret.reveal()))) return settings
    throw new ConfigError(`${where}: secretFile: ${SECRET_RULE}`)
  })
}

/** The content of the file, without the line break that editors and `echo` leave at its end. */
function readSecretFile(where: string, path: string): Secret {
  const value = readTextFile(where, path).replace(/\r?\n$/, '')
  const problem = value === '' ? 'the file is empty' : wrongEncoding(value)
  if (problem !== undefined) throw new ConfigError(`${where}=${path} is not allowed: ${problem}`)
  return new Secret(value)
}

/** The published JSON Schema, for editors. Rules between keys are checked at the start only. */
export function consumersJsonSchema(): Record<string, unknown> {
  return {
    $id: 'consumers.schema.json',
    title: 'CONSUMERS_FILE of cio-webhook',
    ...z.toJSONSchema(consumersSchema, { io: 'input', target: 'draft-2020-12' })
  }
}

type SecretOf = (value: string | undefined, key: string, file: string | undefined) => Secret | undefined

function httpSettings(consumer: z.output<typeof httpSchema>, secretOf: SecretOf) {
  const { secret, secretFile, secretPrevious, secretPreviousFile, ...settings } = consumer
  const secrets = [
    secretOf(secret, 'secretFile', secretFile),
    secretOf(secretPrevious, 'secretPreviousFile', secretPreviousFile)
  ]
  return { ...settings, secrets: secrets.filter(value => value !== undefined) }
}

function natsSettings(consumer: z.output<typeof natsSchema>, secretOf: SecretOf) {
  const { password, passwordFile, token, tokenFile, ...settings } = consumer
  return {
    ...settings,
    password: secretOf(password, 'passwordFile', passwordFile),
    token: secretOf(token, 'tokenFile', tokenFile)
  }
}

function amqpSettings(consumer: z.output<typeof amqpSchema>, secretOf: SecretOf) {
  const { password, passwordFile, ...settings } = consumer
  return { ...settings, password: secretOf(password, 'passwordFile', passwordFile) }
}

function isSigningSecret(value: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1]
  if (base64 === undefined || base64.length % 4 !== 0) return false
  const bytes = Buffer.from(base64, 'base64').length
  return bytes >= SECRET_BYTES.min && bytes <= SECRET_BYTES.max
}

/** Whether the address of a server demands TLS. Otherwise TLS is used if the server offers it. */
export function isTls(server: string): boolean {
  return URL.canParse(server) && new URL(server).protocol === 'tls:'
}

/** An address without credentials: they have keys of their own, so an address can be shown. */
function address(...protocols: readonly string[]) {
  const schemes = protocols.map(protocol => `${protocol}//`).join(' or ')
  return z.string().refine(
    value => {
      if (!URL.canParse(value)) return false
      const { protocol, hostname, username, password, hash } = new URL(value)
      const bare = username === '' && password === '' && hash === ''
      return protocols.includes(protocol) && hostname !== '' && bare
    },
    { message: `must be a ${schemes} address without user, password and fragment` }
  )
}

type Keys = Readonly<Record<string, unknown>>

function oneOfTwo(first: string, second: string) {
  return (keys: Keys): boolean => (keys[first] === undefined) !== (keys[second] === undefined)
}

function notBoth(first: string, second: string) {
  return (keys: Keys): boolean => keys[first] === undefined || keys[second] === undefined
}

function togetherWith(user: string) {
  return (keys: Keys): boolean =>
    (keys[user] === undefined) === ((keys['password'] ?? keys['passwordFile']) === undefined)
}
