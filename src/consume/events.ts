/*
 * The events of the log as TypeScript knows them. What is documented is from Customer.io's API description of
 * reporting webhooks and the event names its API accepts (read 2026-11-26); values are as they come out of the default PII policy, `customerio`.
 * These types promise nothing that Customer.io does not: events nobody documented occur, fields may be missing
 * from an event in an older format, and another PII policy lets other things through.
 */

/** What stands where the policy has taken something out. */
export type Redacted = '[REDACTED]'

/** Hexadecimal SHA-256 (or HMAC-SHA256) of what was there; null where nothing was. */
export type Hash = string | null

export interface Identifiers {
  /** Its hash where the id is an e-mail address or a phone number. */
  readonly id: string | null
  readonly email_hash?: Hash
  readonly cio_id?: string
}

/** Whom an event is about. */
export interface Person {
  /** Deprecated by Customer.io; '' for a person that was deleted. Its hash where it is an e-mail address. */
  readonly customer_id?: string
  readonly identifiers: Identifiers
}

/** A message to a person, and one of: the campaign, broadcast, newsletter or transactional template it is from. */
export interface Message extends Person {
  /** Whoever has it can unsubscribe the person: treat it as a secret. */
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

/**
 * A person's choice of topics, by itself or by a link in a message. `content` is JSON text, such as
 * `{"topics":{"topic_7":false}}`.
 */
type Preferences = Subscription & Partial<Message> & { readonly content?: string }

interface Failed {
  readonly failure_message: string
}

/**
 * Customer.io's API lists these pairs by name only (`email_deferred`, `sms_dropped`, `slack_converted`,
 * `webhook_converted`), so what similar events have may be missing here.
 */
type NamedOnly<Data> = Message & Partial<Omit<Data, keyof Message>>

interface Linked {
  /** Without query and fragment. */
  readonly href: string
  readonly link_id: number
}

interface Received {
  readonly recipient_hash: Hash
}

interface Titled {
  readonly subject: Redacted
}

/** Only where a webhook is set up to include what was sent. */
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
  readonly failure_message?: string
}

interface Devices {
  readonly recipients: readonly Device[]
}

type Email = Message & Titled & Received
type ToPhone = Message & Received

/** Any channel can be what a person's subscription was changed through. */
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
  /** Either of the two: the person's, which has no `delivery_id`, or the message's. */
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
  readonly sent: Message & Sent & Devices
  readonly delivered: Message & Devices
  readonly opened: Message & Devices
  readonly clicked: Message & Linked & Devices
  readonly converted: Message & Devices
  readonly bounced: Message & Devices
  readonly dropped: Message & Devices
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

/** What SMS and WhatsApp have in common. */
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

/** For each object type its metrics, for each of them the payload's `data`. */
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

/** What Customer.io sent, sanitized: the `data` of the CloudEvent. */
export type Payload<O extends string, M extends string, Data> = {
  readonly event_id: string
  readonly metric: M
  /** When it happened, unix seconds. */
  readonly timestamp: number
  readonly data: Data
} & (M extends 'cio_subscription_preferences_changed'
  ? { readonly object_type_type?: O }
  : { readonly object_type: O })

/** A CloudEvents 1.0 event as it is in the log. */
interface Envelope<Type, Data> {
  readonly specversion: '1.0'
  /** The event's id: the same however often it is handed over. */
  readonly id: string
  /** `/customerio/<source>`: which webhook of Customer.io it came through. */
  readonly source: string
  readonly type: Type
  /** The customer id, sanitized. Events with the same one come in order. */
  readonly subject?: string
  /** When it happened, RFC 3339; missing where the payload does not say. */
  readonly time?: string
  /** When it was received, RFC 3339. */
  readonly receivedtime: string
  readonly datacontenttype: 'application/json'
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
 * The type of an event that is not in Customer.io's description. It equals no literal, so that a comparison with
 * a documented type narrows, and one with a misspelt type does not compile: `String(event.type) === '…'` does.
 */
export type UndocumentedType = `io.customer.${string}` & { readonly [undocumented]: true }

/** What `cio-webhook doctor` sends through the receiver; handed over only with `doctorEvents`. */
export type DoctorEvent = Envelope<'io.customer.doctor', Readonly<Record<string, unknown>>>

/** Neither object type nor metric could be told. */
export type UnknownEvent = Envelope<'io.customer.unknown', Readonly<Record<string, unknown>>>

export type UndocumentedEvent = Envelope<UndocumentedType, Readonly<Record<string, unknown>>>

/** Every event of the log: `event.type === 'io.customer.email.bounced'` tells what `event.data` has. */
export type CustomerEvent = DocumentedEvent | UnknownEvent | UndocumentedEvent | DoctorEvent
