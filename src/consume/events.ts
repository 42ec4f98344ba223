/*
 * The types of events in the log. Documented events are from Customer.io's API description of reporting webhooks, and
 * from the event names that its API accepts (read 2026-11-26). Values are as after the default PII policy, `customerio`.
 * The types promise no more than Customer.io does: undocumented events occur, events in an older format can lack fields,
 * and other PII policies keep other values.
 */

/** Replaces a value that the PII policy removes. */
export type Redacted = '[REDACTED]'

/** SHA-256 (or HMAC-SHA256) of the value, in hexadecimal; null if there was none. */
export type Hash = string | null

export interface Identifiers {
  /** Its hash if it is an e-mail address or a phone number. */
  readonly id: string | null
  readonly email_hash?: Hash
  readonly cio_id?: string
}

/** The person of an event. */
export interface Person {
  /** Deprecated by Customer.io; '' for a deleted person. Its hash if it is an e-mail address. */
  readonly customer_id?: string
  readonly identifiers: Identifiers
}

/** A message to a person, with the id of its campaign, broadcast, newsletter or transactional template. */
export interface Message extends Person {
  /** A secret: it is enough to unsubscribe the person. */
  readonly delivery_id: string
  readonly campaign_id?: number | null
  readonly broadcast_id?: number | null
  readonly newsletter_id?: number | null
  /** Its type is not documented. */
  readonly transactional_message_id?: number | string
  /** Campaigns and broadcasts. */
  readonly action_id?: number
  readonly journey_id?: string
  readonly parent_action_id?: number
  /** Campaigns. */
  readonly trigger_event_id?: string | null
  /** Broadcasts. */
  readonly trigger_id?: number
  /** Newsletters. */
  readonly content_id?: number
}

interface Subscription extends Person {
  readonly email_address_hash: Hash
}

/** A person's choice of topics, also by a link in a message. `content` is JSON text: `{"topics":{"topic_7":false}}`. */
type Preferences = Subscription & Partial<Message> & { readonly content?: string }

/**
 * Customer.io's API only lists the names of these events (`email_deferred`, `sms_dropped`, `slack_converted`,
 * `webhook_converted`), so fields of similar events can be missing.
 */
type NamedOnly<Data> = Message & Partial<Omit<Data, keyof Message>>

/** `href` is without query and fragment. */
type Linked = { readonly href: string; readonly link_id: number }
type Failed = { readonly failure_message: string }
type Received = { readonly recipient_hash: Hash }
type Titled = { readonly subject: Redacted }

/** Only if the webhook is configured to include message content. */
interface Sent {
  readonly content?: Redacted
}

interface Reply extends Received {
  readonly inbound_event_id: string
  readonly to_hash: Hash
}

export interface Device {
  readonly device_id_hash: Hash
  readonly device_platform?: 'ios' | 'android'
}

interface Devices<Outcome = unknown> {
  readonly recipients: readonly (Device & Outcome)[]
}

type Email = Message & Titled & Received
type ToPhone = Message & Received

/** A subscription can be changed through any channel. */
interface Subscriptions {
  readonly subscribed: Subscription
  readonly unsubscribed: Subscription
  readonly cio_subscription_preferences_changed: Preferences
}

interface EmailEvents extends Omit<Subscriptions, 'unsubscribed'> {
  readonly drafted: Email
  readonly attempted: Message & Failed
  readonly sent: Email & Sent & { readonly headers?: Redacted }
  readonly delivered: Email
  readonly opened: Message &
    Partial<Titled> &
    Received & { readonly proxied?: boolean; readonly prefetched?: boolean; readonly synthetic?: boolean }
  readonly clicked: Email & Linked & { readonly machine?: boolean }
  readonly converted: Email
  /** Either of the message, or of the person: then without `delivery_id`. */
  readonly unsubscribed: Email | (Subscription & { readonly delivery_id?: never })
  readonly bounced: Email & Failed
  readonly deferred: NamedOnly<Email & Failed>
  readonly dropped: Email & Failed
  readonly spammed: Email
  readonly failed: Message & Titled & Failed
  readonly undeliverable: Email & Failed
}

interface PushEvents extends Subscriptions {
  readonly drafted: Message
  readonly attempted: Message & Failed
  readonly sent: Message & Sent & Devices<Partial<Failed>>
  readonly delivered: Message & Devices
  readonly opened: Message & Devices
  readonly clicked: Message & Linked & Devices
  readonly converted: Message & Devices
  readonly bounced: Message & Devices<Failed>
  readonly dropped: Message & Devices<Failed>
  readonly failed: Message & Failed
  readonly undeliverable: Message & Failed
}

interface InAppEvents extends Subscriptions {
  readonly drafted: Message
  readonly attempted: Message & Failed
  readonly sent: Message & Sent & Received
  readonly opened: Message
  readonly clicked: Message & Received & Linked & { readonly tracked_response?: string }
  readonly converted: Message & Received
  readonly failed: Message & Failed
  readonly undeliverable: Message & Failed
}

/** Common to SMS and WhatsApp. */
interface PhoneEvents extends Subscriptions {
  readonly drafted: Message
  readonly attempted: Message & Failed
  readonly sent: ToPhone & Sent
  readonly delivered: ToPhone
  readonly clicked: ToPhone & Linked
  readonly converted: ToPhone
  readonly bounced: ToPhone & Failed
  readonly failed: Message & Failed
  readonly undeliverable: Message & Failed
  readonly replied: Message & Reply
}

interface SmsEvents extends PhoneEvents {
  readonly dropped: NamedOnly<ToPhone & Failed>
}

interface WhatsappEvents extends PhoneEvents {
  readonly opened: ToPhone
  readonly dropped: ToPhone & Failed
}

/** Slack, and webhooks as a channel of a campaign. */
interface PostEvents extends Subscriptions {
  readonly drafted: Message
  readonly attempted: Message & Failed
  readonly sent: Message & Sent & Received
  readonly clicked: Message & Received & Linked
  readonly converted: NamedOnly<Message & Received>
  readonly failed: Message & Failed
  readonly undeliverable: Message & Failed
}

/** By object type and metric: the `data` of the payload. */
export interface DocumentedEvents {
  readonly customer: Subscriptions
  readonly email: EmailEvents
  readonly push: PushEvents
  readonly in_app: InAppEvents
  readonly sms: SmsEvents
  readonly whatsapp: WhatsappEvents
  readonly slack: PostEvents
  readonly webhook: PostEvents
}

export type ObjectType = keyof DocumentedEvents

/** The sanitized payload of Customer.io: the `data` of the CloudEvent. */
export type Payload<O extends string, M extends string, Data> = {
  readonly event_id: string
  readonly metric: M
  /** Time of the event, unix seconds. */
  readonly timestamp: number
  readonly data: Data
} & (M extends 'cio_subscription_preferences_changed'
  ? { readonly object_type_type?: O }
  : { readonly object_type: O })

/** A CloudEvents 1.0 event, as in the log. */
interface Envelope<Type, Data> {
  readonly specversion: '1.0'
  /** The event's id, the same in each delivery. */
  readonly id: string
  /** `/customerio/<source>`: the webhook at Customer.io that it came through. */
  readonly source: string
  readonly type: Type
  /** The sanitized customer id. Events with the same subject come in order. */
  readonly subject?: string
  /** Time of the event, RFC 3339; missing if the payload has none. */
  readonly time?: string
  /** Time of receipt, RFC 3339. */
  readonly receivedtime: string
  readonly datacontenttype: 'application/json'
  /** W3C trace context of the event; missing unless its trace is recorded. */
  readonly traceparent?: string
  readonly tracestate?: string
  readonly data: Data
}

type EventsOf<O extends ObjectType> = {
  [M in keyof DocumentedEvents[O] & string]: Envelope<
    `io.customer.${O}.${M}`,
    Payload<O, M, DocumentedEvents[O][M]>
  >
}[keyof DocumentedEvents[O] & string]

export type DocumentedEvent = { [O in ObjectType]: EventsOf<O> }[ObjectType]

declare const undocumented: unique symbol

/**
 * The type of an undocumented event. It equals no literal, so that a comparison with a documented type narrows, and one
 * with a misspelt type does not compile. To compare with an undocumented type: `String(event.type) === '…'`.
 */
export type UndocumentedType = `io.customer.${string}` & { readonly [undocumented]: true }

/** Sent by `cio-webhook doctor` through the receiver. The handler gets it only with `includeDoctorEvents`. */
export type DoctorEvent = Envelope<'io.customer.doctor', Readonly<Record<string, unknown>>>

/** An event without object type or metric. */
export type UnknownEvent = Envelope<'io.customer.unknown', Readonly<Record<string, unknown>>>

export type UndocumentedEvent = Envelope<UndocumentedType, Readonly<Record<string, unknown>>>

/** Every event of the log. `event.type === 'io.customer.email.bounced'` narrows the type of `event.data`. */
export type CustomerEvent = DocumentedEvent | UnknownEvent | UndocumentedEvent | DoctorEvent
