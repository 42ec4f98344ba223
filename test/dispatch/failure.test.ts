import t from 'tap'
import { answerOf, brokerText, failureCode, reasonOf } from '../../src/dispatch/failure.ts'
import { ReportedError } from '../../src/errors.ts'

const coded = (message: string, code: string | number, cause?: unknown): Error =>
  Object.assign(new Error(message, { cause }), { code })

const accessRefused = coded(
  'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused"',
  403
)

t.test('the code of a failure is the innermost one', async t => {
  const cases: readonly [Error, string][] = [
    [coded('outer', 'UND_ERR_SOCKET', coded('inner', 'ECONNRESET')), 'ECONNRESET'],
    [new AggregateError([coded('first', 'ECONNREFUSED'), coded('last', 'ENOTFOUND')]), 'ENOTFOUND'],
    [coded('subjects overlap with an existing stream', 10065), '10065'],
    [accessRefused, 'ACCESS_REFUSED 403'],
    [new ReportedError('wrapped', { cause: accessRefused }), 'ACCESS_REFUSED 403'],
    [new DOMException('too late', 'TimeoutError'), 'timeout']
  ]
  for (const [error, code] of cases) {
    t.equal(failureCode(error), code)
    t.equal(answerOf(error), code)
  }
  t.equal(failureCode(new Error('no code')), undefined)
  t.equal(answerOf(new RangeError('no code')), 'RangeError')
})

t.test('a reason names what failed and the code, once', async t => {
  t.equal(
    reasonOf(
      new ReportedError('the stream CIO cannot be created: overlap (10065)', { cause: coded('x', 10065) })
    ),
    'the stream CIO cannot be created: overlap (10065)'
  )
  t.equal(
    reasonOf(new ReportedError('no answer', { cause: coded('x', 'ECONNREFUSED') })),
    'no answer: ECONNREFUSED'
  )
  t.equal(reasonOf(coded('with a secret', 'EPIPE')), 'publish failed: EPIPE')
  t.equal(reasonOf(new Error('with a secret')), 'publish failed')
})

t.test("the text of a broker's error is one printable line with its code", async t => {
  t.equal(brokerText(accessRefused), 'ACCESS_REFUSED - Login was refused (403)')
  t.equal(brokerText(coded('connect\nrefused', 'ECONNREFUSED')), 'connect?refused (ECONNREFUSED)')
  t.equal(brokerText(new Error('channel closed')), 'channel closed')
  t.equal(brokerText('thrown text'), 'unknown')
})
