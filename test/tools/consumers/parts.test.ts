import t from 'tap'
import { Secret } from '../../../src/secret.ts'
import type { ConsumerSettings } from '../../../src/settings/consumers-file.ts'
import { unknownConsumer } from '../../../src/tools/consumers/find-consumer.ts'
import { withoutSecrets } from '../../../src/tools/consumers/shown-settings.ts'
import { stateSinceMs } from '../../../src/tools/consumers/state-since.ts'
import { brokerFix, connectionFix, statusFix } from '../../../src/tools/consumers/test-fix.ts'

t.test('an unknown consumer: names near it, or else all known ones', async t => {
  const known = ['crm', 'bus', 'crm-archive']
  t.match(unknownConsumer('cmr', known).message, /did you mean crm\?$/)
  t.match(unknownConsumer('CRM', known).message, /did you mean crm, crm-archive\?$/)
  t.match(unknownConsumer('x', known).message, /known consumers are crm, bus, crm-archive$/)
  t.match(unknownConsumer('x', []).message, /no consumer reads the log$/)
  const many = Array.from({ length: 12 }, (_, index) => `name${index}`)
  t.match(unknownConsumer('x', many).message, /name9, …$/)
})

t.test('settings are shown without secrets, and a URL without its query', async t => {
  const settings = {
    name: 'crm',
    type: 'http',
    url: 'https://crm.internal/events?token=hidden',
    from: 'start',
    secrets: [new Secret('hidden')],
    concurrency: 10,
    order: 'relaxed',
    http2: false,
    timeoutMs: 1000,
    maxAttempts: 12,
    retryDelayMs: 10,
    maxRetryDelayMs: 100,
    backlog: 10,
    backlogBytes: 1024
  } as const satisfies ConsumerSettings
  const shown = withoutSecrets(settings)
  t.match(shown, { concurrency: 10, from: 'start', url: /^https:\/\/crm\.internal\/events\?/ })
  t.notMatch(JSON.stringify(shown), /hidden|secret/)
  t.equal(withoutSecrets(undefined), undefined)
})

t.test('each state has its own time', async t => {
  const times = { lastFailureAtMs: 9, failingSinceMs: 1, pausedAtMs: 2, disabledAtMs: 3, lastActiveMs: 4 }
  const states = ['failing', 'paused', 'disabled', 'no_members', 'ok'] as const
  t.same(
    states.map(state => stateSinceMs({ ...times, state })),
    [1, 2, 3, 4, undefined]
  )
  const beforeUpgrade = { ...times, failingSinceMs: undefined }
  t.equal(stateSinceMs({ ...beforeUpgrade, state: 'failing' }), 9)
})

t.test('each failure has a likely fix', async t => {
  for (const [fix, expected] of [
    [statusFix(204, undefined), undefined],
    [statusFix(302, undefined), /final address$/],
    [statusFix(413, undefined), /raise its limit/],
    [statusFix(429, undefined), /lower concurrency/],
    [statusFix(418, undefined), /refused the request/],
    [connectionFix('EAI_AGAIN'), /does not resolve/],
    [connectionFix('DEPTH_ZERO_SELF_SIGNED_CERT'), /^TLS failed/],
    [connectionFix('CERT_HAS_EXPIRED'), /^TLS failed/],
    [connectionFix("NATS refuses the connection: server does not support 'tls'"), /^TLS failed/],
    [connectionFix('timeout'), /^no answer in time/],
    [connectionFix('UND_ERR_SOCKET'), /^the connection was lost/],
    [
      brokerFix('NATS refuses the connection: Authorization Violation', 'nats'),
      /user and password, or token/
    ],
    [brokerFix('subjects overlap with an existing stream (10065)', 'nats'), /subjectPrefix or stream/],
    [
      brokerFix('the exchange cannot be declared: PRECONDITION_FAILED (406)', 'amqp'),
      /durable topic exchange/
    ]
  ] as const) {
    if (expected === undefined) t.equal(fix, undefined)
    else t.match(fix, expected)
  }
})
