import { z } from 'zod'
import { ConfigError } from '../errors.ts'
import { readJsonFile, readTextFile } from '../json-file.ts'
import { Secret } from '../secret.ts'
import { address, notBoth, type SecretOf, shared, text, togetherWith } from './consumer-fields.ts'
import { type HttpSettings, httpSchema, httpSettings, isSigningSecret, SECRET_RULE } from './http-consumer.ts'
import { withoutLineBreak, wrongEncoding } from './secrets/stray-characters.ts'

/** The push consumers of `CONSUMERS_FILE`, with the values of their secrets. */
export type ConsumerSettings = HttpSettings | NatsSettings | AmqpSettings
export type NatsSettings = ReturnType<typeof natsSettings>
export type AmqpSettings = ReturnType<typeof amqpSettings>

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
  const value = withoutLineBreak(readTextFile(where, path))
  const problem = value === '' ? 'the file is empty' : wrongEncoding(value)
  if (problem !== undefined) throw new ConfigError(`${where}=${path} is not allowed: ${problem}`)
  return new Secret(value)
}

/**
 * The published JSON Schema, for editors. Rules between keys are checked at the start only.
 * @public used by scripts/document-consumers.mjs
 */
export function consumersJsonSchema(): Record<string, unknown> {
  return {
    $id: 'consumers.schema.json',
    title: 'CONSUMERS_FILE of cio-webhook',
    ...z.toJSONSchema(consumersSchema, { io: 'input', target: 'draft-2020-12' })
  }
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

/** Whether the address of a server demands TLS. Otherwise TLS is used if the server offers it. */
export function isTls(server: string): boolean {
  return URL.canParse(server) && new URL(server).protocol === 'tls:'
}
