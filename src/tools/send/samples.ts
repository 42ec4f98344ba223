import type { DocumentedEvents, ObjectType as DocumentedType } from '../../consume/events.ts'

/** An event in Customer.io's shape. */
interface SampleEvent {
  readonly event_id: string
  readonly object_type?: string
  readonly object_type_type?: string
  readonly metric: string
  /** Unix seconds. */
  readonly timestamp: number
  readonly data: Readonly<Record<string, unknown>>
}

type Data = Readonly<Record<string, unknown>>

/** The metrics of each object type, from Customer.io's API description (read 2026-11-26). */
const metrics = {
  customer: ['subscribed', 'unsubscribed', 'cio_subscription_preferences_changed'],
  email: [
    ...['drafted', 'attempted', 'sent', 'delivered', 'opened', 'clicked', 'converted', 'unsubscribed'],
    ...['bounced', 'deferred', 'dropped', 'spammed', 'failed', 'undeliverable']
  ],
  push: [
    ...['drafted', 'attempted', 'sent', 'delivered', 'opened', 'clicked', 'converted', 'bounced', 'dropped'],
    ...['failed', 'undeliverable']
  ],
  in_app: ['drafted', 'attempted', 'sent', 'opened', 'clicked', 'converted', 'failed', 'undeliverable'],
  sms: [
    ...['drafted', 'attempted', 'sent', 'delivered', 'clicked', 'converted', 'bounced', 'dropped'],
    ...['failed', 'undeliverable', 'replied']
  ],
  whatsapp: [
    ...['drafted', 'attempted', 'sent', 'delivered', 'opened', 'clicked', 'converted', 'bounced', 'dropped'],
    ...['failed', 'undeliverable', 'replied']
  ],
  slack: ['drafted', 'attempted', 'sent', 'clicked', 'converted', 'failed', 'undeliverable'],
  webhook: ['drafted', 'attempted', 'sent', 'clicked', 'converted', 'failed', 'undeliverable']
} as const satisfies { readonly [O in DocumentedType]: readonly (keyof DocumentedEvents[O])[] }

type ObjectType = keyof typeof metrics

const isObjectType = (name: string): name is ObjectType => Object.hasOwn(metrics, name)

/** All samples, as `<object_type>.<metric>`. */
export const sampleTypes: readonly string[] = Object.entries(metrics).flatMap(([objectType, names]) =>
  names.map(metric => `${objectType}.${metric}`)
)

/** Metrics of messages that were not sent: only e-mail documents a recipient for some of them. */
const unsent = new Set(['drafted', 'attempted', 'failed', 'undeliverable'])

/** Metrics with a `failure_message`. */
const failing = new Set(['attempted', 'bounced', 'deferred', 'dropped', 'failed', 'undeliverable'])

/** Reserved for examples: 555-01xx (North American numbering plan), example.com (RFC 2606). */
const PHONE = '+15550100'
const EMAIL_HOST = 'example.com'

/**
 * An event with artificial names, addresses and ids.
 *
 * @param type one of `sampleTypes`
 * @param id the event id
 * @param person number of the customer
 * @throws RangeError for an unknown type
 */
export function sampleEvent(type: string, id: string, person: number, nowSeconds: number): SampleEvent {
  const [objectType = '', metric = ''] = type.split('.')
  if (!isObjectType(objectType) || !sampleTypes.includes(type)) throw new RangeError(`no sample of ${type}`)
  const head = { event_id: id, metric, timestamp: nowSeconds }
  const data = dataOf(objectType, metric, person)
  return metric === 'cio_subscription_preferences_changed'
    ? { ...head, object_type_type: 'customer', data }
    : { ...head, object_type: objectType, data }
}

function dataOf(objectType: ObjectType, metric: string, person: number): Data {
  const customer = {
    customer_id: `sample-${person}`,
    identifiers: {
      id: `sample-${person}`,
      email: `sample-${person}@${EMAIL_HOST}`,
      cio_id: person.toString(16).padStart(12, '0')
    }
  }
  if (objectType === 'customer') {
    return {
      ...customer,
      email_address: `sample-${person}@${EMAIL_HOST}`,
      ...(metric === 'cio_subscription_preferences_changed'
        ? { content: JSON.stringify({ topics: { topic_1: true, topic_2: false } }) }
        : {})
    }
  }
  return {
    ...customer,
    delivery_id: `sample_delivery_${person}==`,
    ...campaign,
    ...channelData(objectType, metric, person),
    // If a push was sent, each device has a failure of its own.
    ...(failing.has(metric) && (objectType !== 'push' || unsent.has(metric)) ? failure : {}),
    ...(metric === 'clicked' ? { href: `https://${EMAIL_HOST}/sample?person=${person}`, link_id: 1 } : {})
  }
}

const failure: Data = { failure_message: 'a sample failure' }

const campaign: Data = {
  campaign_id: 1,
  action_id: 2,
  parent_action_id: 1,
  journey_id: 'sample_journey',
  trigger_event_id: 'sample_trigger'
}

function channelData(objectType: Exclude<ObjectType, 'customer'>, metric: string, person: number): Data {
  const device = { device_id: `sample-device-${person}`, device_platform: 'android' }
  const recipient = (address: string) => (unsent.has(metric) ? {} : { recipient: address })
  const content = metric === 'sent' ? { content: `Sample message for customer ${person}.` } : {}
  switch (objectType) {
    case 'email':
      return {
        ...content,
        ...(metric === 'attempted' ? {} : { subject: `Sample for customer ${person}` }),
        ...(metric === 'attempted' || metric === 'failed'
          ? {}
          : { recipient: `sample-${person}@${EMAIL_HOST}` }),
        ...(metric === 'sent' ? { headers: { 'X-Sample': ['one', 'two'] } } : {}),
        ...(metric === 'opened' ? { proxied: false, prefetched: false, synthetic: false } : {}),
        ...(metric === 'clicked' ? { machine: false } : {})
      }
    case 'push':
      return {
        ...content,
        ...(unsent.has(metric)
          ? {}
          : { recipients: [{ ...device, ...(failing.has(metric) ? failure : {}) }] })
      }
    case 'in_app':
      return {
        ...content,
        ...(['sent', 'clicked', 'converted'].includes(metric) ? { recipient: `sample-${person}` } : {}),
        ...(metric === 'clicked' ? { tracked_response: 'sample' } : {})
      }
    case 'sms':
    case 'whatsapp':
      return {
        ...content,
        ...recipient(PHONE),
        ...(metric === 'replied' ? { inbound_event_id: 'sample_inbound', to: PHONE } : {})
      }
    case 'slack':
      return { ...content, ...recipient('#sample') }
    case 'webhook':
      return { ...content, ...recipient(`https://${EMAIL_HOST}/sample`) }
  }
}
