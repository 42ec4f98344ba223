import { macV0, signatureHeaders } from '../send/sign.ts'
import { type Check, note, well } from './check.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import { isAccepted, isRefused, judgeAccepted, judgeEachRefused, judgeRefused, tell } from './expectations.ts'

const WHY =
  'Whoever finds the address can then make up events: unsubscribe your customers, or have your systems act on mails nobody opened.'
const MEND =
  'Compute the HMAC over the raw bytes with your key, compare in constant time, and answer 401 before anything else is done with the body.'

const shared = { area: 'signature', why: WHY, mend: MEND, expects: '401', requests: 1 } as const

/** Keys that stand for a key that is not there. */
const NO_KEYS = ['', 'undefined', 'null'] as const

const otherDigit = (hex: string): string => `${hex.slice(0, -1)}${hex.endsWith('0') ? '1' : '0'}`

export const signatureChecks: readonly Check[] = [
  {
    ...shared,
    id: 'no-signature',
    title: 'A delivery without a signature is refused',
    sends: 'one event without signature headers',
    mend: 'Refuse what has no signature. If you do: the key is missing where the receiver runs, and it then accepts everything; let it refuse to start without a key instead.',
    needs: 'anyone',
    run: async endpoint => judgeRefused(endpoint, await endpoint.post(endpoint.event()))
  },
  {
    ...shared,
    id: 'wrong-key',
    title: 'A delivery signed with another key is refused',
    sends: 'one event signed with a key that is not yours',
    needs: 'anyone',
    after: ['no-signature'],
    run: async endpoint =>
      judgeRefused(endpoint, await endpoint.deliver(endpoint.event(), { key: 'not the key' }))
  },
  {
    ...shared,
    id: 'empty-key',
    title: 'A delivery signed with an empty key is refused',
    sends: 'three events, signed with an empty key and with the words "undefined" and "null" as key',
    requests: NO_KEYS.length,
    why: 'A receiver whose key is not set often verifies with an empty key or the word "undefined": anybody can sign with those.',
    mend: 'Set the key where the receiver runs, and refuse to start without one.',
    needs: 'anyone',
    after: ['no-signature', 'wrong-key'],
    run: endpoint =>
      judgeEachRefused(endpoint, NO_KEYS, async key => [
        `A signature under the key "${key}"`,
        await endpoint.deliver(endpoint.event(), { key })
      ])
  },
  {
    ...shared,
    id: 'malformed-signature',
    title: 'A signature of the wrong length or form is refused, and breaks nothing',
    sends: 'six events with signatures that are empty, short, long, no hex, not ASCII, repeated',
    requests: 6,
    why: 'Comparing values of unequal length throws in many libraries (timingSafeEqual for one): a 500 anybody can cause, and each one is a log line, an alarm or a crash.',
    mend: 'Look whether the signature is 64 hex digits before it is compared.',
    needs: 'anyone',
    after: ['no-signature', 'wrong-key'],
    run: endpoint => {
      const forms: readonly (readonly [string, readonly string[]])[] = [
        ['An empty signature', ['']],
        ['A short signature', ['abc123']],
        ['A long signature', ['ab'.repeat(64)]],
        ['A signature that is no hex', ['z'.repeat(64)]],
        ['A signature with characters beyond ASCII', ['é'.repeat(64)]],
        ['A repeated signature', ['ab'.repeat(32), 'cd'.repeat(32)]]
      ]
      return judgeEachRefused(endpoint, forms, async ([what, signatures]) => {
        const headers = [
          ['x-cio-timestamp', String(endpoint.nowSeconds)] as const,
          ...signatures.map(signature => ['x-cio-signature', signature] as const)
        ]
        return [what, await endpoint.post(endpoint.event(), { headers })]
      })
    }
  },
  {
    ...shared,
    id: 'changed-body',
    title: 'A delivery whose body was changed by one byte is refused',
    sends: 'one event, one byte of which is changed after signing',
    needs: 'acceptance',
    after: ['no-signature', 'wrong-key'],
    run: async endpoint => {
      const body = endpoint.event()
      const changed = Buffer.from(body.toString('latin1').replace('Nothing', 'nothing'), 'latin1')
      return judgeRefused(endpoint, await endpoint.post(changed, { headers: endpoint.signed(body) }))
    }
  },
  {
    ...shared,
    id: 'changed-timestamp',
    title: 'A delivery whose timestamp was changed is refused',
    sends: 'one event, its timestamp header one second on after signing',
    why: 'The timestamp is what makes a captured delivery age. If it is not signed, the delivery can be sent again for ever.',
    needs: 'acceptance',
    after: ['no-signature', 'wrong-key'],
    run: async endpoint => {
      const body = endpoint.event()
      const { nowSeconds: now, key = '' } = endpoint
      const headers = [
        ['x-cio-timestamp', String(now + 1)] as const,
        ['x-cio-signature', macV0(key, body, now)] as const
      ]
      return judgeRefused(endpoint, await endpoint.post(body, { headers }))
    }
  },
  {
    ...shared,
    id: 'changed-signature',
    title: 'A delivery whose signature was changed in the last digit is refused',
    sends: 'one event, the last digit of its signature changed',
    needs: 'acceptance',
    after: ['no-signature', 'wrong-key'],
    run: async endpoint => {
      const body = endpoint.event()
      const headers = endpoint
        .signed(body)
        .map(([name, value]) => [name, name === 'x-cio-signature' ? otherDigit(value) : value] as const)
      return judgeRefused(endpoint, await endpoint.post(body, { headers }))
    }
  },
  {
    ...shared,
    id: 'no-timestamp',
    title: 'A signature over a timestamp is refused without the timestamp',
    sends: 'up to three events with a right signature and without the timestamp header',
    requests: 3,
    needs: 'acceptance',
    after: ['no-signature', 'wrong-key'],
    run: async endpoint => {
      // A receiver that puts its own time in place of a missing one may do so in the next second.
      for (const aheadSeconds of [0, 1]) {
        const reply = await postWithoutTimestamp(endpoint, endpoint.nowSeconds + aheadSeconds)
        if (!isRefused(reply)) return judgeRefused(endpoint, reply)
      }
      return judgeRefused(endpoint, await postWithoutTimestamp(endpoint, endpoint.nowSeconds))
    }
  },
  {
    ...shared,
    id: 'scheme-confusion',
    title: 'A captured delivery can not be sent again as one without a timestamp',
    sends:
      'one body that reads "v0:<timestamp>:<event>", with the signature of the event and no timestamp header',
    why: 'Where signatures over the body alone count too, what Customer.io has signed is also such a body: it carries a right signature, and no age.',
    mend: 'Refuse bodies that begin with "v0:", or signatures over the body alone.',
    needs: 'acceptance',
    after: ['no-signature', 'wrong-key'],
    run: async endpoint => {
      const body = endpoint.event()
      const { nowSeconds: now, key = '' } = endpoint
      const confused = Buffer.concat([Buffer.from(`v0:${now}:`), body])
      const headers = [['x-cio-signature', macV0(key, body, now)] as const]
      return judgeRefused(endpoint, await endpoint.post(confused, { headers }))
    }
  },
  {
    ...shared,
    id: 'raw-bytes',
    title: 'What is verified are the bytes as received',
    sends: 'one event with unusual blanks, escapes and numbers',
    expects: '2xx',
    why: 'A receiver that parses the JSON and writes it again before it verifies refuses authentic events whose JSON is written otherwise than it would.',
    mend: 'Verify the raw body, before a JSON parser sees it (express.raw(), addContentTypeParser with parseAs: "buffer").',
    needs: 'acceptance',
    run: async endpoint => {
      const text = endpoint.event().toString('utf8')
      const body = Buffer.from(
        `\n${text.replace('{', '{ "unusual" : [1.0, 1e2, "\\u0061\\/", "é"] ,\t').replaceAll('":', '" : ')} \n`
      )
      return judgeAccepted(await endpoint.deliver(body))
    }
  },
  {
    ...shared,
    id: 'body-scheme',
    title: 'Signatures over the body alone (reported only)',
    sends: 'one event signed over the body alone, without a timestamp',
    expects: '2xx or 401, as you have it',
    why: 'Such signatures are handy for tools of your own. They carry no timestamp, so a captured one never ages; it is caught by its event id only.',
    mend: 'Nothing needs mending. Where nobody of yours uses them, turn them off ("schemes" of the source).',
    needs: 'acceptance',
    after: ['no-signature', 'wrong-key'],
    run: async endpoint => {
      const body = endpoint.event()
      const reply = await endpoint.post(body, {
        headers: signatureHeaders('body', endpoint.key ?? '', body, '')
      })
      return isAccepted(reply)
        ? note('They are accepted too: right for tools of your own, Customer.io does not use them.')
        : well(`They are not accepted: ${tell(reply)}.`)
    }
  }
]

function postWithoutTimestamp(endpoint: Endpoint, timestamp: number): Promise<Reply> {
  const body = endpoint.event()
  const headers = endpoint.signed(body, { timestamp }).filter(([name]) => name === 'x-cio-signature')
  return endpoint.post(body, { headers })
}
