// Tested by test/tools/leaks/detector.slow.test.ts
/** `configured-value`: a secret of this configuration. The others are recognized by shape and context. */
export type RuleId =
  | 'configured-value'
  | 'customerio-site-id'
  | 'customerio-track-api-key'
  | 'customerio-app-api-key'
  | 'customerio-signing-key'
  | 'customerio-basic-auth'

/**
 * `certain`: the configured value itself, or a shape that nothing else has. `likely`: its name says whose key it is and
 * what it is. `possible`: the name says one of them, the surroundings the other.
 */
export type Certainty = 'certain' | 'likely' | 'possible'

interface Rule {
  readonly name: string
  readonly description: string
  /** What to do about it. */
  readonly help: string
  /** GitHub sorts security results by this number: critical from 9, high from 7. */
  readonly severity: string
}

const NEW_API_KEY =
  'Create a new key in Customer.io (Settings, API Credentials), switch to it, revoke this one.'

/*
 * The shapes, as of 2026-11-24; Customer.io does not document them. Track API: site id and key of 20 hexadecimal
 * digits each (seen in public code; GitGuardian and trufflehog search for them). App API: 32 (GitGuardian). Signing
 * key: 64 (test vectors of Customer.io's client libraries).
 */
export const rules: Readonly<Record<RuleId, Rule>> = {
  'configured-value': {
    name: 'A secret of this configuration',
    description: 'The value of a secret that the service is configured with, plain or encoded.',
    help: 'Replace the secret (cio-webhook rotate), then remove the value.',
    severity: '9.5'
  },
  'customerio-site-id': {
    name: 'Customer.io site id',
    description: '20 hexadecimal digits named as a site id of Customer.io: half of a Track API login.',
    help: 'Not secret by itself: a web page may contain it. Accept it in the baseline where it belongs.',
    severity: '3.0'
  },
  'customerio-track-api-key': {
    name: 'Customer.io Track API key',
    description: '20 hexadecimal digits named as a key of Customer.io: writes people and events.',
    help: NEW_API_KEY,
    severity: '8.0'
  },
  'customerio-app-api-key': {
    name: 'Customer.io App API key',
    description: '32 hexadecimal digits named as a key of Customer.io: reads people and sends messages.',
    help: NEW_API_KEY,
    severity: '9.0'
  },
  'customerio-signing-key': {
    name: 'Customer.io webhook signing key',
    description: '64 hexadecimal digits named as a key of Customer.io: signs webhooks.',
    help: 'Create a new signing key for the webhook in Customer.io, and rotate to it (cio-webhook rotate webhook-key).',
    severity: '9.0'
  },
  'customerio-basic-auth': {
    name: 'Customer.io Track API login',
    description: 'The base64 of a site id and a Track API key, as in HTTP basic authentication.',
    help: NEW_API_KEY,
    severity: '9.0'
  }
}
