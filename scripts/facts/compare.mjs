// Compares what the code assumes with what Customer.io publishes.
import { eventType } from '../../build/src/event-types.js'
import { customerio } from '../../build/src/sanitize/policy.js'
import { compileSanitizer } from '../../build/src/sanitize/sanitize.js'
import { sampleEvent, sampleTypes } from '../../build/src/tools/send/samples.js'

/** The API that creates webhooks has another name for this event than the event itself. */
const PREFERENCES = [
  'customer.cio_subscription_preferences_changed',
  'customer_subscription_preferences_changed'
]

/** One value of each kind that has no personal data, so that only the rule for the field counts. */
const valuesByKind = { string: 'text', number: 1, boolean: true, null: null, object: {}, array: [] }

const names = {
  events: 'event types',
  hourStatuses: 'retry codes',
  timeoutMs: 'timeout',
  eventNames: 'event names',
  addresses: 'addresses'
}

const sanitizer = compileSanitizer(customerio)

/**
 * @param code as read by code.mjs
 * @param published of one description, as read by published.mjs
 * @returns the differences: `subject` (stable, for the list of known ones), `problem`, and the `place` to change
 */
export function compareFacts(code, published) {
  const missing = Object.keys(published).filter(fact => published[fact] === undefined)
  return [
    ...missing.map(fact => ({
      subject: names[fact],
      problem: 'not found in the description, so they were not compared: has its structure changed?',
      place: 'scripts/facts/published.mjs:1'
    })),
    ...(published.events === undefined ? [] : compareEvents(code, published.events)),
    ...compareStatuses(code.hourStatuses, published.hourStatuses),
    ...compareTimeout(code.timeoutMs, published.timeoutMs),
    ...(published.eventNames === undefined ? [] : compareNames(code, published.eventNames)),
    ...compareAddresses(code.addresses, published.addresses)
  ]
}

function compareEvents({ events, documentedEvents, samples, objectTypes }, published) {
  const differences = []
  for (const objectType of new Set([...published.keys()].map(type => type.split('.')[0]))) {
    if (eventType({ event_type: `${objectType}_sent` }) !== `io.customer.${objectType}.sent`) {
      const problem = 'published, but not in the code'
      differences.push({ subject: `object type ${objectType}`, problem, place: objectTypes.place })
    }
  }
  for (const [type, { place }] of events) {
    if (published.has(type)) continue
    differences.push({
      subject: `event ${type}`,
      problem: 'in the code, but its fields are not published',
      place
    })
  }
  for (const [type, raw] of published) {
    const event = events.get(type)
    if (event === undefined) {
      const problem = 'published, but not in the code; the samples need it too'
      differences.push({ subject: `event ${type}`, problem, place: documentedEvents.place })
      continue
    }
    const problems = [
      ...compareFields(event.fields, sanitizedFields(type, raw)).map(found => ({
        ...found,
        place: event.place
      })),
      ...compareSample(type, raw).map(found => ({ ...found, place: samples.place }))
    ]
    for (const { field, problem, place } of problems) {
      differences.push({ subject: `${type} ${field}`, problem, place })
    }
  }
  return differences
}

/** The types promise at most what Customer.io publishes. */
function compareFields(fields, published) {
  const problems = []
  for (const [field, { isRequired, kinds }] of published) {
    const known = fields.get(field)
    if (known === undefined) {
      problems.push({
        field,
        problem: 'published, but not in the code; check whether the PII policy has to cover it'
      })
      continue
    }
    if (known.isRequired && !isRequired) {
      problems.push({ field, problem: 'always there in the code, but published as optional' })
    }
    const unexpected = [...kinds].filter(kind => !known.kinds.has(kind))
    if (unexpected.length > 0) {
      const problem = `${[...known.kinds].join(' or ')} in the code, but published as ${unexpected.join(' or ')} too`
      problems.push({ field, problem })
    }
  }
  for (const field of fields.keys()) {
    if (!published.has(field)) problems.push({ field, problem: 'in the code, but not published' })
  }
  return problems
}

/** The fields of `data` as consumers get them: renamed and replaced by the default PII policy. */
function sanitizedFields(type, published) {
  const found = new Map()
  for (const [path, { isRequired, kinds }] of published) {
    if (!path.startsWith('data.')) continue
    // Where no kind is published, only the name is compared.
    for (const kind of kinds.size > 0 ? kinds : ['string']) {
      const event = sanitizer.value(nested(path, valuesByKind[kind]), { event: type })
      const [[field, newKind]] = leaves(event)
      const known = found.get(field)?.kinds ?? []
      found.set(field, { isRequired, kinds: new Set(kinds.size > 0 ? [...known, newKind] : known) })
    }
  }
  return found
}

/** The object that has only this field. */
function nested(path, value) {
  const names = path.replaceAll('[]', '.[]').split('.')
  return names.reduceRight((inner, name) => (name === '[]' ? [inner] : { [name]: inner }), value)
}

/** Paths and kinds of what is innermost. */
function leaves(value, path = '') {
  if (Array.isArray(value) && value.length > 0) return value.flatMap(item => leaves(item, `${path}[]`))
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0 && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([name, inner]) =>
      leaves(inner, path === '' ? name : `${path}.${name}`)
    )
  }
  return [[path, value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value]]
}

/** A sample has every field that Customer.io always sends, and no other than those it documents. */
function compareSample(type, published) {
  // Subscriptions through a channel have no sample of their own.
  if (!sampleTypes.includes(type)) return []
  const fields = new Map(leaves(sampleEvent(type, 'an-id', 1, 0).data, 'data'))
  const paths = [...published.keys()]
  /** Objects with names of the user's choice, such as the headers of a message. */
  const openObjects = paths.filter(
    path => published.get(path).kinds.has('object') && !paths.some(other => other.startsWith(`${path}.`))
  )
  const problems = []
  for (const [field, kind] of fields) {
    const kinds = published.get(field)?.kinds
    if (kinds === undefined && !openObjects.some(path => field.startsWith(`${path}.`))) {
      problems.push({ field, problem: 'in the sample, but not published' })
    } else if (kinds?.size > 0 && !kinds.has(kind)) {
      problems.push({ field, problem: `${kind} in the sample, but published as ${[...kinds].join(' or ')}` })
    }
  }
  for (const [field, { isRequired, kinds }] of published) {
    const isContainer = kinds.has('object') || kinds.has('array')
    if (field.startsWith('data.') && isRequired && !isContainer && !fields.has(field)) {
      problems.push({ field, problem: 'always there as published, but not in the sample' })
    }
  }
  return problems
}

function compareStatuses({ values, place }, published = values) {
  const both = new Set([...values, ...published])
  return [...both]
    .filter(status => !values.includes(status) || !published.includes(status))
    .map(status => {
      const problem = values.includes(status)
        ? 'in the code, but not published'
        : 'published, but not in the code'
      return { subject: `retry code ${status}`, problem, place }
    })
}

function compareTimeout({ values: [known], place }, published = known) {
  if (known === published) return []
  return [{ subject: 'timeout', problem: `${known} ms in the code, but published as ${published} ms`, place }]
}

/** Names of the API that creates webhooks: one per event type, except those of subscriptions through a channel. */
function compareNames({ events, documentedEvents }, published) {
  const nameOf = type => (type === PREFERENCES[0] ? PREFERENCES[1] : type.replace('.', '_'))
  const known = new Map([...events].map(([type, { place }]) => [nameOf(type), { type, place }]))
  const unknown = published.filter(name => !known.has(name))
  const unpublished = [...known].filter(
    ([name, { type }]) => !published.includes(name) && sampleTypes.includes(type)
  )
  return [
    ...unknown.map(name => ({
      subject: `event name ${name}`,
      problem: 'published, but not in the code',
      place: documentedEvents.place
    })),
    ...unpublished.map(([name, { place }]) => ({
      subject: `event name ${name}`,
      problem: 'in the code, but not published',
      place
    }))
  ]
}

/** Addresses that are no longer published stay in the code: the published lists differ, and each is an example. */
function compareAddresses({ values, place }, published = []) {
  return published
    .filter(address => !values.includes(address))
    .map(address => ({ subject: `address ${address}`, problem: 'published, but not in the code', place }))
}
