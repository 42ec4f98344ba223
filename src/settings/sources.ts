// Tested by test/settings/signing-keys.test.ts
import { z } from 'zod'
import { ConfigError } from '../errors.ts'
import { readJsonFile } from '../json-file.ts'
import type { Sanitizer } from '../sanitize/sanitize.ts'
import { Secret } from '../secret.ts'
import { signingKeyText } from './parse.ts'
import { fixedSecret } from './secrets/environment.ts'
import { fileSecret } from './secrets/file.ts'
import { type SecretHandle, withPrevious } from './secrets/secret-handle.ts'
import { strayCharacters } from './secrets/stray-characters.ts'

/** How a delivery is signed: see receive/signature.ts. */
export type Scheme = 'v0' | 'body' | 'cdp'

export interface SigningKey {
  readonly label: 'current' | 'previous'
  /** Identifies the key without revealing it: see Secret. */
  readonly id: string
  readonly secret: Secret
}

/** A webhook of Customer.io with its own keys, as configured. */
export interface SourceSettings {
  readonly name: string
  /** Current first. Never empty while the service runs. */
  readonly keys: readonly SigningKey[]
  readonly schemes: readonly Scheme[]
  /** JSON pointer (RFC 6901) to the event id. */
  readonly idPointer: string | undefined
  /** Name of a header, in lower case: its value identifies a delivery if the pointer finds nothing. */
  readonly idHeader: string | undefined
  /** Its own PII policy. */
  readonly policy: string | undefined
}

export interface Source extends SourceSettings {
  /** The PII policy in effect. */
  readonly policy: string
  readonly sanitizer: Sanitizer
}

export const DEFAULT_SOURCE = 'default'
export const DEFAULT_SCHEMES: readonly Scheme[] = ['v0', 'body']

const text = z.string().min(1)
const keyText = text.superRefine((key, context) => {
  const problem = strayCharacters(key)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})

const sourceSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be 1 to 64 lower-case letters, digits, _ or -')
      .refine(
        name => name !== DEFAULT_SOURCE,
        `must not be "${DEFAULT_SOURCE}": CIO_WEBHOOK_SECRET is its key`
      ),
    secret: keyText.optional(),
    secretFile: text.optional(),
    secretPrevious: keyText.optional(),
    secretPreviousFile: text.optional(),
    schemes: z
      .array(z.enum(['v0', 'body', 'cdp']))
      .min(1)
      .optional(),
    idPointer: z
      .string()
      .regex(/^(\/([^~/]|~[01])*)+$/, 'must be a JSON pointer such as /message/id')
      .optional(),
    idHeader: z
      .string()
      .regex(/^[\w!#$%&'*+.^`|~-]{1,128}$/, 'must be the name of a header such as x-cio-idempotency-key')
      .optional(),
    policy: text.optional()
  })
  .refine(source => (source.secret === undefined) !== (source.secretFile === undefined), {
    message: 'needs one of secret and secretFile'
  })
  .refine(source => source.secretPrevious === undefined || source.secretPreviousFile === undefined, {
    message: 'takes one of secretPrevious and secretPreviousFile'
  })

const fileSchema = z.strictObject({
  sources: z
    .array(sourceSchema)
    .min(1)
    .superRefine((sources, context) => {
      for (const [index, { name }] of sources.entries()) {
        if (sources.findIndex(other => other.name === name) === index) continue
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is taken by a source above' })
      }
    })
})

/** The name of a source's signing key as a secret. */
export const signingKeyName = (source: string): string =>
  source === DEFAULT_SOURCE ? 'cio-webhook-secret' : `cio-webhook-secret-${source}`

/** A source of `CIO_SOURCES_FILE`, and where its keys are. */
export interface FurtherSource extends Omit<SourceSettings, 'keys'> {
  readonly key: SecretHandle
  readonly previousKey: SecretHandle | undefined
}

/**
 * The further sources of `CIO_SOURCES_FILE`:
 * `{ "sources": [{ "name", "secret" | "secretFile", "secretPrevious" | "secretPreviousFile", "schemes", "idPointer",
 * "idHeader", "policy" }] }`
 *
 * @throws ConfigError naming the line and the key
 */
export function readSourcesFile(variable: string, path: string): readonly FurtherSource[] {
  return readJsonFile(variable, path, fileSchema).sources.map(source => {
    const { name, secret, secretFile, secretPrevious, secretPreviousFile } = source
    const where = `${variable}=${path}: ${name}`
    const handleOf = (key: string, value: string | undefined, file: string | undefined) => {
      const place = `${key} of the source ${name} in ${variable}`
      if (value !== undefined) {
        return fixedSecret(`${where}: ${key}`, place, 'use secretFile', new Secret(value))
      }
      if (file === undefined) return undefined
      const previousPath = file === secretFile ? secretPreviousFile : undefined
      return fileSecret({ path: file, previousPath, setting: `${where}: ${key}File=${file}` })
    }
    const key = handleOf('secret', secret, secretFile)
    if (key === undefined) throw new ConfigError(`${where}: needs one of secret and secretFile`)
    const previousKey = handleOf('secretPrevious', secretPrevious, secretPreviousFile)
    return {
      name,
      key: withPrevious(key, previousKey),
      previousKey,
      schemes: source.schemes ?? DEFAULT_SCHEMES,
      idPointer: source.idPointer,
      idHeader: source.idHeader?.toLowerCase(),
      policy: source.policy
    }
  })
}

export function signingKeys(
  current: string | undefined,
  previous: string | undefined
): readonly SigningKey[] {
  const keys: SigningKey[] = []
  if (current !== undefined) keys.push(signingKey('current', new Secret(current)))
  if (previous !== undefined) keys.push(signingKey('previous', new Secret(previous)))
  return keys
}

export const signingKey = (label: SigningKey['label'], secret: Secret): SigningKey => ({
  label,
  id: secret.id,
  secret
})

/**
 * @param where the place of the key, for the message
 * @throws ConfigError for stray characters: no signature would match such a key
 */
export function checkSigningKey(where: string, key: string): void {
  const problem = strayCharacters(key)
  if (problem !== undefined) {
    throw new ConfigError(`${where} is not allowed: ${problem}; give ${signingKeyText.allowed}`)
  }
}
