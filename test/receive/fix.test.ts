import t from 'tap'
import { UNAVAILABLE_REASONS } from '../../src/errors.ts'
import { type deliveryOutcomes, signatureFailures } from '../../src/ops/outcomes.ts'
import { fixOf } from '../../src/receive/fix.ts'
import { publishedAddresses } from '../../src/receive/published-addresses.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { newBody, signV0 } from '../helpers/sign.ts'

const authentic = { addressAllowed: false, key: 'current' } as const
const unauthentic = { addressAllowed: true } as const

t.test('every reason for a 401 has its fix', async t => {
  for (const reason of signatureFailures)
    t.type(fixOf('signature_invalid', { ...unauthentic, reason }), 'string', reason)
})

t.test('a refused address names the variable, but only for authentic deliveries', async t => {
  t.match(fixOf('source_forbidden', { ...authentic, wrongAddress: 'TRUSTED_PROXIES' }), /TRUSTED_PROXIES/)
  t.match(fixOf('source_forbidden', { ...authentic, wrongAddress: 'CIO_ALLOWED_IPS' }), /CIO_ALLOWED_IPS/)
  t.equal(fixOf('source_forbidden', { ...unauthentic, reason: 'mismatch' }), undefined)
})

t.test('most reasons for a 503 have a fix, and accepted deliveries have none', async t => {
  const without = UNAVAILABLE_REASONS.filter(
    reason => fixOf('unavailable', { ...authentic, reason }) === undefined
  )
  t.same(without, ['redis_error', 'deadline'])
  for (const outcome of [
    'accepted',
    'duplicate',
    'parked',
    'aborted'
  ] satisfies (typeof deliveryOutcomes)[number][]) {
    t.equal(fixOf(outcome, authentic), undefined)
  }
})

t.test('a 401 is a warning from a listed address only, and its line has the fix', async t => {
  const redis = await startRedis()
  const service = await startTestService({ REDIS_URL: redis.url, TRUSTED_PROXIES: '127.0.0.1' })
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const send = (from: string, extra = {}) =>
    service.post(newBody(), { ...signV0('another body'), 'x-forwarded-for': from, ...extra })
  const [listed = ''] = publishedAddresses
  t.equal((await send(listed)).status, 401)
  t.equal((await send(listed, { 'user-agent': 'cio-webhook-doctor' })).status, 401)
  await send('203.0.113.9')
  const lines = service.logLines().filter(({ msg }) => msg === 'delivery')
  t.match(lines, [
    {
      level: 'warn',
      address: listed,
      outcome: 'signature_invalid',
      reason: 'mismatch',
      fix: /no signing key matches/
    },
    { outcome: 'signature_invalid' },
    { level: 'warn', outcome: 'source_forbidden', address: '203.0.113.9' }
  ])
  t.notOk('fix' in (lines[2] ?? {}))
})
