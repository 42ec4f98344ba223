const message = ['drafted', 'attempted', 'sent', 'clicked', 'converted', 'failed', 'undeliverable']
const phone = [...message, 'delivered', 'bounced', 'dropped', 'replied']

/** The metrics that a reporting webhook can be asked for, by object type, with the names of events in the log. */
const metrics: Readonly<Record<string, readonly string[]>> = {
  customer: ['subscribed', 'unsubscribed', 'cio_subscription_preferences_changed'],
  email: [
    ...message,
    ...['delivered', 'opened', 'bounced', 'deferred', 'dropped', 'spammed', 'unsubscribed']
  ],
  push: [...message, 'delivered', 'opened', 'bounced', 'dropped'],
  in_app: [...message, 'opened'],
  sms: phone,
  whatsapp: [...phone, 'opened'],
  slack: message,
  webhook: message
}

/** Names of the App API that are not `<object type>_<metric>`. */
const otherNames: Readonly<Record<string, string>> = {
  'customer.cio_subscription_preferences_changed': 'customer_subscription_preferences_changed'
}

/** Events of the log (`email.opened`) → names of the App API (`email_opened`). */
const apiNames: ReadonlyMap<string, string> = new Map(
  Object.entries(metrics).flatMap(([objectType, names]) =>
    names.map(metric => {
      const event = `${objectType}.${metric}`
      return [event, otherNames[event] ?? `${objectType}_${metric}`] as const
    })
  )
)

/**
 * Described as events, but not in every published list of the names that the App API accepts (71 names; read
 * 2026-11-26). A webhook without them is complete, and Customer.io may decline them.
 */
export const uncertainNames: ReadonlySet<string> = new Set(['sms_replied', 'slack_undeliverable'])

/** @returns the names of the App API for all events that match: `email_opened` for `email.*` */
export const webhookEventNames = (matches: (event: string) => boolean): readonly string[] =>
  [...apiNames].filter(([event]) => matches(event)).map(([, name]) => name)
