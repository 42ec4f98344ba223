/** What is looked for. `configured-value` is known to be yours; the rest is told by shape and context. */
export type RuleId =
  | 'configured-value'
  | 'customerio-site-id'
  | 'customerio-track-api-key'
  | 'customerio-app-api-key'
  | 'customerio-signing-key'
  | 'customerio-basic-auth'

/** `certain`: the very value, or a shape nothing else has. `likely`: named so. `possible`: named so nearby. */
export type Certainty = 'certain' | 'likely' | 'possible'

export interface Rule {
  readonly name: string
  readonly description: string
  /** What to do about it. */
  readonly help: string
}

/*
 * The shapes, as of 2026-11-24. Customer.io documents none. Track API: site id and key of 20 hexadecimal digits each
 * (in use in public code, and so looked for by GitGuardian and trufflehog); App API: 32 (GitGuardian). Signing key: 64
 * (the test vectors of Customer.io's own client libraries).
 */
export const rules: Readonly<Record<RuleId, Rule>> = {
  'configured-value': {
    name: 'A secret of this configuration',
    description: 'The very value of a secret that the service is configured with, plain or encoded.',
    help: 'Replace the secret (cio-webhook rotate), then remove the value.'
  },
  'customerio-site-id': {
    name: 'Customer.io site id',
    description: '20 hexadecimal digits named as a site id of Customer.io: half of a Track API login.',
    help: 'No secret by itself, a web page may show it. Accept it in the baseline where it is meant to be.'
  },
  'customerio-track-api-key': {
    name: 'Customer.io Track API key',
    description: '20 hexadecimal digits named as a key of Customer.io: writes people and events.',
    help: 'Make a new key in Customer.io (Settings, API Credentials), switch over, revoke this one.'
  },
  'customerio-app-api-key': {
    name: 'Customer.io App API key',
    description: '32 hexadecimal digits named as a key of Customer.io: reads people and sends messages.',
    help: 'Make a new key in Customer.io (Settings, API Credentials), switch over, revoke this one.'
  },
  'customerio-signing-key': {
    name: 'Customer.io webhook signing key',
    description: '64 hexadecimal digits named as a key of Customer.io: signs webhooks.',
    help: 'Take a new signing key for the webhook in Customer.io, and rotate to it (cio-webhook rotate webhook-key).'
  },
  'customerio-basic-auth': {
    name: 'Customer.io Track API login',
    description: 'The base64 of a site id and a Track API key, as HTTP basic authentication sends them.',
    help: 'Make a new key in Customer.io (Settings, API Credentials), switch over, revoke this one.'
  }
}
