/** Differences that were looked at and are right as they are. A `*` in a subject stands for any text. */
export const known = [
  {
    subjects: [
      'event email.deferred',
      'event sms.dropped',
      'event slack.converted',
      'event webhook.converted'
    ],
    reason:
      'the App API accepts these names, but their fields are not described; the types leave all of them optional'
  },
  {
    subjects: ['event push.drafted', 'push.attempted data.failure_message'],
    reason: 'the description of "Push drafted" has the metric `attempted`, so that the two are mixed up'
  },
  {
    subjects: ['*.* data.transactional_message_id'],
    reason:
      'described for e-mail and push only, but SMS and in-app messages can be transactional too; it is optional'
  },
  {
    subjects: ['customer.cio_subscription_preferences_changed data.delivery_id'],
    reason: 'described as always there, but a person can change topics without a message'
  },
  {
    subjects: ['event name sms_replied', 'event name slack_undeliverable'],
    reason: 'described as events, but not in every published list of the names that the App API accepts'
  }
]
