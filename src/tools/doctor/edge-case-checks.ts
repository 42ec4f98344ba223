// Tested by test/tools/doctor/faults.slow.test.ts.
import { DOCTOR } from '../../event-types.ts'
import { type Check, pass } from './check.ts'
import type { Endpoint } from './endpoint.ts'
import { acceptedCheck, judgeAccepted, worst } from './expectations.ts'

const MARK = 'Sent by cio-webhook doctor to check this endpoint.'

const shared = {
  area: 'edge-cases',
  expects: '2xx',
  requests: 1,
  needs: 'acceptance',
  why: 'It is signed with your key, so Customer.io sent it and sends it again until it is answered 2xx. Every later event waits behind it, for up to 7 days.',
  remedy: 'Answer 200 to everything authentic. Put aside what you cannot read, and look at it later.'
} as const

const edgeCase = (id: string, title: string, sends: string, body: (endpoint: Endpoint) => Buffer): Check =>
  acceptedCheck({ ...shared, id, title, sends, send: endpoint => endpoint.deliver(body(endpoint)) })

const CONTENT_TYPES = [
  null,
  'application/json; charset=utf-8',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'nonsense'
] as const

/** Authentic deliveries that a strict endpoint refuses. Each carries the doctor's mark. */
export const edgeCaseChecks: readonly Check[] = [
  edgeCase('unknown-type', 'An event of an unknown type is accepted', 'one event of type doctor', endpoint =>
    endpoint.event({ object_type: DOCTOR, metric: 'unheard_of' })
  ),
  edgeCase(
    'no-event-id',
    'An event without an event_id is accepted',
    'one event without event_id',
    endpoint => endpoint.event({ event_id: undefined })
  ),
  edgeCase(
    'flat-format',
    'An event in the older flat format is accepted',
    'one event with event_type instead of object_type and metric',
    endpoint => endpoint.event({ object_type: undefined, metric: undefined, event_type: DOCTOR })
  ),
  edgeCase(
    'odd-values',
    'An event whose fields have other types is accepted',
    'one event with null and text as values',
    endpoint => endpoint.event({ object_type: DOCTOR, metric: null, timestamp: 'yesterday', data: null })
  ),
  edgeCase(
    'empty-object',
    'A JSON object without further fields is accepted',
    'the body {"object_type":"doctor"}',
    () => Buffer.from(`{"object_type":"${DOCTOR}"}`)
  ),
  edgeCase('not-an-object', 'JSON that is not an object is accepted', 'a JSON array with one text', () =>
    Buffer.from(JSON.stringify([MARK]))
  ),
  edgeCase('not-json', 'A body that is not JSON is accepted', 'a sentence', endpoint =>
    Buffer.from(`${MARK} ${endpoint.newId()}`)
  ),
  edgeCase(
    'not-utf8',
    'A body that is not UTF-8 is accepted',
    'a sentence with three bytes that are not UTF-8',
    endpoint => Buffer.concat([Buffer.from(`${MARK} ${endpoint.newId()} `), Buffer.from([0xff, 0xfe, 0xc0])])
  ),
  edgeCase(
    'deep-json',
    'JSON that is nested 2,000 levels deep is accepted',
    'one event with 2,000 nested arrays',
    endpoint => edited(endpoint.event({ data: 'deep' }), '"deep"', '['.repeat(2000) + ']'.repeat(2000))
  ),
  edgeCase(
    'prototype-key',
    'JSON with a __proto__ key is accepted',
    'one event with the key __proto__',
    endpoint => edited(endpoint.event(), '{', '{"__proto__":{"isAdmin":true},')
  ),
  {
    ...shared,
    id: 'content-type',
    title: 'An event is accepted whatever its content type',
    sends: `${CONTENT_TYPES.length} events with different content types, one of them without`,
    requests: CONTENT_TYPES.length,
    remedy:
      'Read the body as bytes whatever its content-type says (Express: express.raw({ type: () => true })).',
    run: async endpoint => {
      const findings = await Promise.all(
        CONTENT_TYPES.map(async contentType =>
          judgeAccepted(
            await endpoint.deliver(endpoint.event(), { contentType }),
            contentType ?? 'An event without content-type'
          )
        )
      )
      const finding = worst(findings)
      return finding.status === 'pass' ? pass(`All ${findings.length} are accepted.`) : finding
    }
  }
]

const edited = (body: Buffer, from: string, to: string): Buffer =>
  Buffer.from(body.toString('utf8').replace(from, to))
