import { readFileSync } from 'node:fs'
import { z } from 'zod'

/**
 * What happens to the value of a field.
 * - `redact`: any value, falsy ones and whole objects too, becomes "[REDACTED]".
 * - `hash`: the field is renamed `<name in the policy>_hash`, its value is the hash.
 * - `hash-in-place-if-address`: the value becomes its hash where the whole of it is an e-mail address or an
 *   international phone number. The key stays, so consumers find an id where they look for one.
 * - `cut-query`: a URL loses its query and its fragment.
 */
const actionSchema = z.enum(['redact', 'hash', 'hash-in-place-if-address', 'cut-query'])

/** The kinds of personal text that are masked in every string no field rule took; `url`: user info and tokens in URLs. */
const textKindSchema = z.enum(['email', 'phone', 'card', 'ssn', 'url'])

/**
 * A field is a name (`email`: at any depth) or a path of names (`identifiers.id`: an `id` directly inside
 * `identifiers`, itself at any depth). Arrays are looked through; `[]` only says so to the reader.
 */
const fieldSchema = z.string().regex(/^[^.[\]]{1,128}(?:\[\])?(?:\.[^.[\]]{1,128}(?:\[\])?){0,15}$/, {
  message: 'a field is a name such as email, or a path such as recipients[].device_id'
})

const policySchema = z.strictObject({
  fields: z.record(fieldSchema, actionSchema),
  text: z.array(textKindSchema)
})

const policyFileSchema = z.strictObject({
  extends: z.enum(['basic', 'customerio', 'pipelines']).optional(),
  fields: z.record(fieldSchema, actionSchema).default({}),
  text: z.array(textKindSchema).optional()
})

export type Action = z.infer<typeof actionSchema>
export type TextKind = z.infer<typeof textKindSchema>
export type Policy = z.infer<typeof policySchema>

/** Every kind there is. */
export const allTextKinds: readonly TextKind[] = textKindSchema.options

/** Field rules only: what no policy for a person's data could leave out. */
export const basic: Policy = {
  fields: {
    ssn: 'redact',
    credit_card: 'redact',
    password: 'redact',
    secret: 'redact',
    email: 'hash'
  },
  text: []
}

/** The default: basic, and everywhere else Customer.io puts personal data. */
export const customerio: Policy = {
  fields: {
    ...basic.fields,
    email_address: 'hash',
    recipient: 'hash',
    to: 'hash',
    content: 'redact',
    subject: 'redact',
    headers: 'redact',
    href: 'cut-query',
    // Renamed, not hashed in place: an APNs token is 64 hex digits, as its hash is, so that a second pass
    // could not tell which of the two it has before it.
    'recipients[].device_id': 'hash',
    customer_id: 'hash-in-place-if-address',
    'identifiers.id': 'hash-in-place-if-address'
  },
  text: [...allTextKinds]
}

/** What stands where something was taken out. */
export const REDACTED = '[REDACTED]'

/** What Data Pipelines sends. */
export const pipelines: Policy = {
  ...customerio,
  fields: {
    ...customerio.fields,
    userId: 'hash-in-place-if-address',
    anonymousId: 'hash-in-place-if-address'
  }
}

const builtIn = { basic, customerio, pipelines }

/** One spelling for all spellings of a field name: `creditCard`, `Credit-Card` and `credit_card`. */
export function normaliseName(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '')
}

/** `recipients[].device_id` → ['recipients', 'device_id'], the names as they are written. */
export function fieldPath(field: string): string[] {
  return field.replaceAll('[]', '').split('.')
}

/**
 * A policy from the parsed content of a policy file. Rules of the policy it extends stay unless the file has
 * the same field in any spelling; without `text`, the kinds of the extended policy stay (none without one).
 * Throws one line that says what is not allowed.
 */
export function definePolicy(file: unknown): Policy {
  const parsed = policyFileSchema.safeParse(file)
  if (!parsed.success) {
    const first = parsed.error.issues[0]
    const where = first === undefined || first.path.length === 0 ? '' : `${first.path.join('/')}: `
    throw new Error(`not a PII policy: ${where}${first?.message ?? 'unreadable'}`)
  }
  const base = parsed.data.extends === undefined ? undefined : builtIn[parsed.data.extends]
  const own = new Map<string, string>()
  for (const field of Object.keys(parsed.data.fields)) {
    const spelling = fieldPath(field).map(normaliseName).join('.')
    const twin = own.get(spelling)
    if (twin !== undefined) throw new Error(`not a PII policy: ${twin} and ${field} are the same field`)
    own.set(spelling, field)
  }
  const kept = Object.entries(base?.fields ?? {}).filter(
    ([field]) => !own.has(fieldPath(field).map(normaliseName).join('.'))
  )
  return {
    fields: { ...Object.fromEntries(kept), ...parsed.data.fields },
    text: parsed.data.text ?? base?.text ?? []
  }
}

/** `basic`, `customerio`, or the path of a JSON file (read once, at the start). Throws where it is neither. */
export function loadPolicy(nameOrFile: string): Policy {
  if (nameOrFile === 'basic' || nameOrFile === 'customerio' || nameOrFile === 'pipelines') {
    return builtIn[nameOrFile]
  }
  let file: unknown
  try {
    file = JSON.parse(readFileSync(nameOrFile, 'utf8'))
  } catch (cause) {
    throw new Error(`not a PII policy: ${nameOrFile} is neither basic, customerio nor a readable JSON file`, {
      cause
    })
  }
  return definePolicy(file)
}
