// Tested by test/tools/doctor/faults.slow.test.ts.
import { macV0 } from '../send/sign.ts'
import { type Check, pass, WRONG_KEY, warn } from './check.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import {
  acceptedCheck,
  describeReply,
  isAccepted,
  isRefused,
  judgeEachRefused,
  judgeRefused,
  refusedCheck
} from './expectations.ts'

const shared = {
  area: 'signature',
  expects: '401',
  requests: 1,
  why: 'Anyone who knows the address can invent events: unsubscribe your customers, or trigger your systems with emails that were never opened.',
  remedy:
    'Compute the HMAC over the raw bytes with your key, compare in constant time, and answer 401 before you process the body.'
} as const

/** Sends nothing that a correct endpoint accepts. */
const outsider = { ...shared, needs: 'anyone', after: ['no-signature', 'wrong-key'] } as const
const keyHolder = { ...outsider, needs: 'acceptance' } as const

/** What a missing key often turns into. */
const MISSING_KEYS = ['', 'undefined', 'null'] as const

const malformedSignatures: readonly (readonly [name: string, signatures: readonly string[]])[] = [
  ['An empty signature', ['']],
  ['A short signature', ['abc123']],
  ['A long signature', ['ab'.repeat(64)]],
  ['A signature that is not hex', ['z'.repeat(64)]],
  ['A signature with non-ASCII characters', ['é'.repeat(64)]],
  ['A repeated signature', ['ab'.repeat(32), 'cd'.repeat(32)]]
]

export const signatureChecks: readonly Check[] = [
  refusedCheck({
    ...shared,
    id: 'no-signature',
    title: 'A delivery without a signature is refused',
    sends: 'one event without signature headers',
    remedy:
      'Refuse deliveries without a signature. If your code does: the key is missing in the running endpoint, which then accepts everything; it should refuse to start without a key.',
    needs: 'anyone',
    send: endpoint => endpoint.post(endpoint.event())
  }),
  refusedCheck({
    ...outsider,
    id: 'wrong-key',
    title: 'A delivery signed with another key is refused',
    sends: 'one event signed with a key that is not yours',
    after: ['no-signature'],
    send: endpoint => endpoint.deliver(endpoint.event(), { key: WRONG_KEY })
  }),
  {
    ...outsider,
    id: 'empty-key',
    title: 'A delivery signed with an empty key is refused',
    sends: 'three events, signed with an empty key and with the words "undefined" and "null" as the key',
    requests: MISSING_KEYS.length,
    why: 'If its key is not set, an endpoint often verifies with an empty key or the word "undefined": anyone can sign with those.',
    remedy: 'Set the key in the running endpoint, and refuse to start without one.',
    run: endpoint =>
      judgeEachRefused(endpoint, MISSING_KEYS, async key => [
        `A signature under the key "${key}"`,
        await endpoint.deliver(endpoint.event(), { key })
      ])
  },
  {
    ...outsider,
    id: 'malformed-signature',
    title: 'A malformed signature is refused and causes no error',
    sends: 'six events with signatures that are empty, short, long, not hex, not ASCII, repeated',
    requests: malformedSignatures.length,
    why: 'Comparing values of unequal length throws in many libraries (for example timingSafeEqual): anyone can cause a 500, and with it log lines, alerts or a crash.',
    remedy: 'Check that the signature is 64 hex digits before you compare it.',
    run: endpoint =>
      judgeEachRefused(endpoint, malformedSignatures, async ([name, signatures]) => {
        const headers = [
          ['x-cio-timestamp', String(endpoint.nowSeconds)] as const,
          ...signatures.map(signature => ['x-cio-signature', signature] as const)
        ]
        return [name, await endpoint.post(endpoint.event(), { headers })]
      })
  },
  refusedCheck({
    ...keyHolder,
    id: 'changed-body',
    title: 'A delivery whose body was changed by one byte is refused',
    sends: 'one event, one byte of which is changed after signing',
    send: endpoint => {
      const body = endpoint.event()
      const changed = Buffer.from(body.toString('latin1').replace('Sent by', 'sent by'), 'latin1')
      return endpoint.post(changed, { headers: endpoint.signed(body) })
    }
  }),
  refusedCheck({
    ...keyHolder,
    id: 'changed-timestamp',
    title: 'A delivery whose timestamp was changed is refused',
    sends: 'one event, its timestamp header one second later than signed',
    why: 'Only the timestamp limits how long a captured delivery can be sent again. If it is not signed, there is no limit.',
    send: endpoint => {
      const body = endpoint.event()
      const { nowSeconds, key = '' } = endpoint
      return endpoint.post(body, {
        headers: [
          ['x-cio-timestamp', String(nowSeconds + 1)],
          ['x-cio-signature', macV0(key, body, nowSeconds)]
        ]
      })
    }
  }),
  refusedCheck({
    ...keyHolder,
    id: 'changed-signature',
    title: 'A delivery whose signature was changed in the last digit is refused',
    sends: 'one event, the last digit of its signature changed',
    send: endpoint => {
      const body = endpoint.event()
      const headers = endpoint
        .signed(body)
        .map(([name, value]) => [name, name === 'x-cio-signature' ? otherLastDigit(value) : value] as const)
      return endpoint.post(body, { headers })
    }
  }),
  {
    ...keyHolder,
    id: 'no-timestamp',
    title: 'A signature over a timestamp is refused without the timestamp',
    sends: 'up to three events with a right signature and without the timestamp header',
    requests: 3,
    run: async endpoint => {
      // An endpoint that fills in its own time may do so in the next second.
      for (const aheadSeconds of [0, 1]) {
        const reply = await postWithoutTimestamp(endpoint, endpoint.nowSeconds + aheadSeconds)
        if (!isRefused(reply)) return judgeRefused(endpoint, reply)
      }
      return judgeRefused(endpoint, await postWithoutTimestamp(endpoint, endpoint.nowSeconds))
    }
  },
  refusedCheck({
    ...keyHolder,
    id: 'scheme-confusion',
    title: 'A captured delivery cannot be sent again as one without a timestamp',
    sends:
      'one body that reads "v0:<timestamp>:<event>", with the signature of the event and no timestamp header',
    why: 'If signatures over the body alone are accepted too, everything Customer.io signs is also such a body: with a right signature, and without an age.',
    remedy: 'Refuse bodies that begin with "v0:", or signatures over the body alone.',
    send: endpoint => {
      const body = endpoint.event()
      const { nowSeconds, key = '' } = endpoint
      const confused = Buffer.concat([Buffer.from(`v0:${nowSeconds}:`), body])
      return endpoint.post(confused, { headers: [['x-cio-signature', macV0(key, body, nowSeconds)]] })
    }
  }),
  acceptedCheck({
    ...shared,
    id: 'raw-bytes',
    title: 'The bytes are verified as received',
    sends: 'one event with unusual whitespace, escapes and numbers',
    expects: '2xx',
    why: 'An endpoint that parses the JSON and serializes it again before it verifies refuses authentic events that are formatted in another way.',
    remedy:
      'Verify the raw body before a JSON parser reads it (express.raw(), addContentTypeParser with parseAs: "buffer").',
    needs: 'acceptance',
    send: endpoint => {
      const text = endpoint.event().toString('utf8')
      return endpoint.deliver(
        Buffer.from(
          `\n${text.replace('{', '{ "unusual" : [1.0, 1e2, "\\u0061\\/", "é"] ,\t').replaceAll('":', '" : ')} \n`
        )
      )
    }
  }),
  {
    ...keyHolder,
    id: 'body-scheme',
    title: 'Signatures over the body alone (reported only)',
    sends: 'one event signed over the body alone, without a timestamp',
    expects: '2xx or 401, as configured',
    why: 'Such signatures are convenient for your own tools. They have no timestamp, so a captured one never expires; only its event id reveals a replay.',
    remedy: 'No change needed. If your tools do not use them, turn them off ("schemes" of the source).',
    run: async endpoint => {
      const body = endpoint.event()
      const reply = await endpoint.post(body, { headers: endpoint.signedBodyOnly(body) })
      return isAccepted(reply)
        ? warn('They are accepted too. That is fine for your own tools; Customer.io does not use them.')
        : pass(`They are not accepted: ${describeReply(reply)}.`)
    }
  }
]

const otherLastDigit = (hex: string): string => `${hex.slice(0, -1)}${hex.endsWith('0') ? '1' : '0'}`

function postWithoutTimestamp(endpoint: Endpoint, timestamp: number): Promise<Reply> {
  const body = endpoint.event()
  const headers = endpoint.signed(body, { timestamp }).filter(([name]) => name === 'x-cio-signature')
  return endpoint.post(body, { headers })
}
