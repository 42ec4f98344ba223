import { readFileSync } from 'node:fs'
import { getNodeValue } from 'jsonc-parser'
import { z } from 'zod'
import { errorCode } from '../errors.ts'
import { describeIssue, parseJsonTree } from '../json-file.ts'
import { allTextKinds } from './text-kinds.ts'

/**
 * What happens to the value of a field.
 * - `redact`: any value, falsy ones and whole objects too, becomes "[REDACTED]".
 * - `hash`: the field is renamed `<name in the policy>_hash`, its value is the hash. A `Name <address>` is hashed
 *   by its address, a phone number by its digits. The value is masked wherever else it stands in the same event.
 * - `hash-in-place-if-address`: for ids. An e-mail address or a phone number with `+` becomes its hash, an id that
 *   contains one is hashed as a whole. The key stays, so that consumers find an id where they look for one. Any
 *   other id stays exactly as it is: no mask may make two ids equal.
 * - `cut-query`: a URL loses its user info, its query, its fragment and path segments that look like tokens.
 * - `keep`: the value is sanitized as if no rule were for the field. For exceptions from another rule.
 * - `keep-json`: a string that holds JSON is parsed, sanitized and written again, any other text is redacted.
 */
const actionSchema = z.enum(['redact', 'hash', 'hash-in-place-if-address', 'cut-query', 'keep', 'keep-json'])

/**
 * A field is a name (`email`: at any depth) or a path of names (`identifiers.id`: an `id` directly inside
 * `identifiers`, itself at any depth). Arrays do not count as a level; `[]` is for the reader only. Where several
 * rules fit, the longest path decides.
 */
const fieldSchema = z.string().regex(/^[^.[\]]{1,128}(?:\[\])?(?:\.[^.[\]]{1,128}(?:\[\])?){0,15}$/, {
  message: 'a field is a name such as email, or a path such as recipients[].device_id'
})

/** Also those without an object type or a metric. */
export const ALL_EVENTS = '*.*'

/** `<object_type>.<metric>`; `*` stands for any. */
const eventSchema = z.string().regex(/^(?:\*|[a-z]\w{0,63})\.(?:\*|[a-z]\w{0,63})$/i, {
  message: 'an event is <object_type>.<metric> such as email.sent or *.bounced'
})

/** One action for all events, or actions by event: the first that fits counts, and without one the rule does not. */
const ruleSchema = z.union([actionSchema, z.record(eventSchema, actionSchema)], {
  error: `a rule is ${actionSchema.options.join(', ')}, or an object of them by event such as {"email.sent": "keep"}`
})

const policySchema = z.strictObject({
  fields: z.record(fieldSchema, ruleSchema),
  text: z.array(z.enum(allTextKinds))
})

const policyFileSchema = z.strictObject({
  extends: z.enum(['basic', 'customerio', 'pipelines']).optional(),
  fields: z.record(fieldSchema, ruleSchema).default({}),
  text: z.array(z.enum(allTextKinds)).optional()
})

export type Action = z.infer<typeof actionSchema>
export type Rule = z.infer<typeof ruleSchema>
export type Policy = z.infer<typeof policySchema>

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
    // A JSON string with the topics of a person: what consumers subscribe to this event for. The flat format's
    // name of the event is `customer_subscription_preferences_changed`.
    'data.content': {
      '*.cio_subscription_preferences_changed': 'keep-json',
      '*.subscription_preferences_changed': 'keep-json'
    },
    subject: 'redact',
    headers: 'redact',
    href: 'cut-query',
    url: 'cut-query',
    link: 'cut-query',
    referrer: 'cut-query',
    referer: 'cut-query',
    // Renamed, not hashed in place: an APNs token is 64 hex digits, as its hash is, so that a second pass
    // could not distinguish them.
    'recipients[].device_id': 'hash',
    customer_id: 'hash-in-place-if-address',
    'identifiers.id': 'hash-in-place-if-address',
    event_id: 'hash-in-place-if-address',
    user_id: 'hash-in-place-if-address',
    anonymous_id: 'hash-in-place-if-address'
  },
  text: [...allTextKinds]
}

/** Data Pipelines, in Segment's common shape: customerio, and what traits, properties and the context hold. */
export const pipelines: Policy = {
  fields: {
    ...customerio.fields,
    ...each('hash-in-place-if-address', 'message_id previous_id group_id traits.id external_ids[].id'),
    ...each(
      'redact',
      `
      name first_name middle_name last_name maiden_name full_name given_name family_name
      display_name surname nickname username traits.title traits.description traits.age
      traits.gender avatar birthday birthdate birth_date date_of_birth dob address billing_address
      shipping_address address1 address2 address_line1 address_line2 street street1 street2
      street_address city postal_code postcode zip zip_code location latitude longitude lat lng lon
      ip ip_address write_key token page.search`
    ),
    ...each(
      'hash',
      `
      phone phone_number mobile mobile_phone telephone tel cell cell_phone home_phone work_phone fax
      device_token push_token registration_token fcm_token apn_token apns_token device_id
      advertising_id android_id gaid imei idfa idfv device.id device.token`
    ),
    // Names of things, not of people.
    ...each('keep', 'app.name library.name os.name campaign.name products[].name'),
    // A page call repeats `path` and `search` in its properties. Elsewhere, `search` is a search term.
    ...each('cut-query', 'website page.path properties.path properties.search')
  },
  text: [...allTextKinds]
}

/** The same rule for each field; `fields` are separated by white space. */
function each(rule: Rule, fields: string): Record<string, Rule> {
  return Object.fromEntries(
    fields
      .trim()
      .split(/\s+/)
      .map(field => [field, rule])
  )
}

const builtIn = { basic, customerio, pipelines }

/** One spelling for all spellings of a field name: `creditCard`, `Credit-Card` and `credit_card`. */
export function normaliseName(name: string): string {
  return name.toLowerCase().replace(/[_-]+/g, '')
}

/** `recipients[].device_id` → ['recipients', 'device_id'], the names as they are written. */
export function fieldPath(field: string): string[] {
  return field.replaceAll('[]', '').split('.')
}

/** Two fields with the same one are the same field. */
const spellingOf = (field: string): string => fieldPath(field).map(normaliseName).join('.')

/**
 * A policy from the parsed content of a policy file. Rules of the policy it extends stay unless the file has a rule
 * for the same field, in any spelling, and the same event. Without `text`, the kinds of the extended policy stay; there
 * are none if it extends no policy.
 *
 * @throws Error with one line that says what is not allowed
 */
export function definePolicy(file: unknown): Policy {
  const parsed = policyFileSchema.safeParse(file, { error: describeIssue })
  if (!parsed.success) {
    const first = parsed.error.issues[0]
    const where = first === undefined || first.path.length === 0 ? '' : `${first.path.join('/')}: `
    throw new Error(`not a PII policy: ${where}${first?.message ?? 'unreadable'}`)
  }
  const base = parsed.data.extends === undefined ? undefined : builtIn[parsed.data.extends]
  const own = new Map<string, string>()
  for (const field of Object.keys(parsed.data.fields)) {
    const spelling = spellingOf(field)
    const duplicate = own.get(spelling)
    if (duplicate !== undefined)
      throw new Error(`not a PII policy: ${duplicate} and ${field} are the same field`)
    own.set(spelling, field)
  }
  const fields: Record<string, Rule> = {}
  const inherited = new Map<string, Rule>()
  for (const [field, rule] of Object.entries(base?.fields ?? {})) {
    const spelling = spellingOf(field)
    if (own.has(spelling)) inherited.set(spelling, rule)
    else fields[field] = rule
  }
  for (const [spelling, field] of own) {
    const rule = parsed.data.fields[field]
    if (rule !== undefined) fields[field] = withOtherEvents(rule, inherited.get(spelling))
  }
  return { fields, text: parsed.data.text ?? base?.text ?? [] }
}

/** A rule for some events leaves the rule of the extended policy to all others. */
function withOtherEvents(rule: Rule, inherited: Rule | undefined): Rule {
  if (typeof rule === 'string' || inherited === undefined) return rule
  return { ...rule, ...(typeof inherited === 'string' ? { [ALL_EVENTS]: inherited } : inherited), ...rule }
}

const isBuiltIn = (name: string): name is keyof typeof builtIn => Object.hasOwn(builtIn, name)

/** A built-in policy by its name, or the one in a JSON file (read once, at the start). Throws if it is neither. */
export function loadPolicy(nameOrFile: string): Policy {
  if (isBuiltIn(nameOrFile)) return builtIn[nameOrFile]
  const tree = parseJsonTree(readPolicyFile(nameOrFile))
  if ('problem' in tree) throw new Error(`not a PII policy: ${tree.problem}`)
  return definePolicy(getNodeValue(tree))
}

function readPolicyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const names = Object.keys(builtIn).join(', ')
    const code = errorCode(cause) ?? 'unreadable'
    throw new Error(
      `not a PII policy: ${path} is neither one of ${names} nor a file that can be read (${code})`,
      { cause }
    )
  }
}
