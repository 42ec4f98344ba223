// Reads facts from an OpenAPI 3.1 description of Customer.io. It depends on the structure of the two descriptions that
// `.github/workflows/facts.yml` downloads: of reporting webhooks, and of the App API.

const NAMES_PATH = '/v1/reporting_webhooks'
const ADDRESSES_PATH = '/v1/info/ip_addresses'

/**
 * @returns what the description says: `events` (by `<object_type>.<metric>`, the fields by path), `hourStatuses` and
 *   `timeoutMs` of a description of the webhooks; `eventNames` and `addresses` of the App API. `undefined` stands for a
 *   fact that a description of this kind should have, and that cannot be found in it.
 * @throws TypeError if it is neither of the two
 */
export function publishedFacts(description) {
  const webhook = description.webhooks?.reportingWebhook?.post
  const { [NAMES_PATH]: names, [ADDRESSES_PATH]: addresses } = description.paths ?? {}
  if (webhook === undefined && names === undefined && addresses === undefined) {
    throw new TypeError('neither webhooks.reportingWebhook nor the paths of the App API are in it')
  }
  const reader = new SchemaReader(description)
  return {
    ...(webhook === undefined ? {} : { events: reader.events(body(webhook)), ...limits(description) }),
    ...(names === undefined ? {} : { eventNames: reader.shape(body(names.post))?.at('events[]')?.values }),
    ...(addresses === undefined
      ? {}
      : {
          addresses: reader.shape(content(addresses.get?.responses?.['200']))?.at('ip_addresses')?.example
        })
  }
}

const body = operation => content(operation?.requestBody)
const content = part => part?.content?.['application/json']?.schema

/** These facts are prose: the introduction of the description says them in one sentence each. */
function limits({ info }) {
  const text = info?.description ?? ''
  const statuses = /Error codes:([^\n]*)/.exec(text)?.[1]?.match(/\d{3}/g)
  const seconds = /(\d+)[ -]second timeout/.exec(text)?.[1]
  return {
    hourStatuses: statuses?.map(Number),
    timeoutMs: seconds === undefined ? undefined : Number(seconds) * 1000
  }
}

/** What a schema allows: kinds of JSON values, and the fields of objects. An array has the field `[]`. */
class Shape {
  kinds = new Set()
  /** Name → { isRequired, shape } */
  fields = new Map()
  values
  example

  at(path) {
    let shape = this
    for (const name of path.replaceAll('[]', '.[]').split('.')) shape = shape?.fields.get(name)?.shape
    return shape
  }
}

class SchemaReader {
  #description

  constructor(description) {
    this.#description = description
  }

  /** The events of a schema that is a tree of alternatives. */
  events(schema) {
    const variants = new Map()
    for (const shape of this.#alternatives(schema)) {
      const metrics = shape.at('metric')?.values ?? []
      const objectTypes = (shape.at('object_type') ?? shape.at('object_type_type'))?.values ?? []
      for (const type of objectTypes.flatMap(objectType =>
        metrics.map(metric => `${objectType}.${metric}`)
      )) {
        variants.set(type, [...(variants.get(type) ?? []), shape])
      }
    }
    const events = [...variants].map(([type, shapes]) => [type, flatten(oneOf(shapes))])
    return events.length === 0 ? undefined : new Map(events)
  }

  #alternatives(schema) {
    const resolved = this.#resolve(schema)
    return resolved?.oneOf?.flatMap(part => this.#alternatives(part)) ?? [this.shape(resolved)]
  }

  shape(schema) {
    const resolved = this.#resolve(schema)
    if (resolved === undefined) return undefined
    const parts = [this.#own(resolved)]
    for (const part of resolved.allOf ?? []) parts.push(this.shape(part))
    const alternatives = resolved.oneOf ?? resolved.anyOf
    if (alternatives !== undefined) parts.push(oneOf(alternatives.map(part => this.shape(part))))
    return allOf(parts)
  }

  #own({ type = [], enum: values, example, properties = {}, required = [], items }) {
    const shape = new Shape()
    for (const kind of [type].flat()) shape.kinds.add(kind === 'integer' ? 'number' : kind)
    shape.values = values
    shape.example = example
    for (const [name, property] of Object.entries(properties)) {
      shape.fields.set(name, { isRequired: required.includes(name), shape: this.shape(property) })
    }
    if (items !== undefined) shape.fields.set('[]', { isRequired: true, shape: this.shape(items) })
    return shape
  }

  #resolve(schema) {
    let resolved = schema
    while (resolved?.$ref !== undefined) {
      const names = resolved.$ref.replace('#/', '').split('/')
      resolved = names.reduce((part, name) => part?.[name], this.#description)
      if (resolved === undefined) throw new TypeError(`its reference ${names.join('/')} leads nowhere`)
    }
    return resolved
  }
}

/** All hold at once: a field is certain if one of them says so. */
const allOf = shapes => merge(shapes, allOf, fields => fields.some(field => field?.isRequired))

/** One of them holds: a field is only certain if it is in each. */
const oneOf = shapes => merge(shapes, oneOf, fields => fields.every(field => field?.isRequired))

function merge(shapes, mergeInner, isRequired) {
  if (shapes.length === 1) return shapes[0]
  const merged = new Shape()
  for (const { kinds, values, example } of shapes) {
    for (const kind of kinds) merged.kinds.add(kind)
    if (values !== undefined) merged.values = [...(merged.values ?? []), ...values]
    merged.example ??= example
  }
  for (const name of new Set(shapes.flatMap(({ fields }) => [...fields.keys()]))) {
    const variants = shapes.map(({ fields }) => fields.get(name))
    const inner = variants.filter(variant => variant !== undefined).map(variant => variant.shape)
    merged.fields.set(name, { isRequired: isRequired(variants), shape: mergeInner(inner) })
  }
  return merged
}

/** All fields, by paths such as `data.recipients[].device_id`: { isRequired, kinds }. */
function flatten(shape, prefix = '', found = new Map()) {
  for (const [name, { isRequired, shape: inner }] of shape.fields) {
    const path = name === '[]' ? `${prefix}[]` : prefix === '' ? name : `${prefix}.${name}`
    found.set(path, { isRequired, kinds: inner.kinds })
    flatten(inner, path, found)
  }
  return found
}
