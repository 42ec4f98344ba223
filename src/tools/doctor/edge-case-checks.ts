import { DOCTOR } from '../../event-types.ts'
import { type Check, well } from './check.ts'
import type { Endpoint } from './endpoint.ts'
import { judgeAccepted, worst } from './expectations.ts'

const MARK = 'Sent by cio-webhook doctor to examine this endpoint.'

const shared = {
  area: 'oddities',
  expects: '2xx',
  requests: 1,
  needs: 'acceptance',
  why: 'It is signed with your key, so Customer.io sent it and sends it again until it is answered 2xx. Every later event waits behind it, for up to 7 days.',
  mend: 'Answer 200 to whatever is authentic; put aside what you can not read, and look at it later.'
} as const

const odd = (id: string, title: string, sends: string, body: (endpoint: Endpoint) => Buffer): Check => ({
  ...shared,
  id,
  title,
  sends,
  run: async endpoint => judgeAccepted(await endpoint.deliver(body(endpoint)))
})

const CONTENT_TYPES = [
  null,
  'application/json; charset=utf-8',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'nonsense'
] as const

/** Authentic deliveries that a strict receiver refuses. Each carries the doctor's mark. */
export const oddityChecks: readonly Check[] = [
  odd(
    'unknown-type',
    'An event of a type nobody has heard of is accepted',
    'one event of type doctor',
    endpoint => endpoint.event({ object_type: DOCTOR, metric: 'unheard_of' })
  ),
  odd('no-event-id', 'An event without an event_id is accepted', 'one event without event_id', endpoint =>
    endpoint.event({ event_id: undefined })
  ),
  odd(
    'flat-format',
    'An event in the older flat format is accepted',
    'one event with event_type instead of object_type and metric',
    endpoint => endpoint.event({ object_type: undefined, metric: undefined, event_type: DOCTOR })
  ),
  odd(
    'odd-values',
    'An event whose fields have other types is accepted',
    'one event with null and a text for its values',
    endpoint => endpoint.event({ object_type: DOCTOR, metric: null, timestamp: 'yesterday', data: null })
  ),
  odd('empty-object', 'An empty JSON object is accepted', 'the body {"object_type":"doctor"}', () =>
    Buffer.from(`{"object_type":"${DOCTOR}"}`)
  ),
  odd('not-an-object', 'JSON that is no object is accepted', 'a JSON array with one text', () =>
    Buffer.from(JSON.stringify([MARK]))
  ),
  odd('not-json', 'A body that is no JSON is accepted', 'a sentence', endpoint =>
    Buffer.from(`${MARK} ${endpoint.newId()}`)
  ),
  odd(
    'not-utf8',
    'A body that is no UTF-8 text is accepted',
    'a sentence with three bytes that are no text',
    endpoint => Buffer.concat([Buffer.from(`${MARK} ${endpoint.newId()} `), Buffer.from([0xff, 0xfe, 0xc0])])
  ),
  odd(
    'deep-json',
    'JSON that is nested 2,000 deep is accepted',
    'one event with 2,000 arrays in each other',
    endpoint =>
      Buffer.from(
        endpoint
          .event({ data: 'deep' })
          .toString('utf8')
          .replace('"deep"', `${'['.repeat(2000)}${']'.repeat(2000)}`)
      )
  ),
  odd(
    'prototype-key',
    'JSON with a __proto__ key is accepted',
    'one event with the key __proto__',
    endpoint => Buffer.from(endpoint.event().toString('utf8').replace('{', '{"__proto__":{"isAdmin":true},'))
  ),
  {
    ...shared,
    id: 'content-type',
    title: 'The content type is no reason to refuse',
    sends: `${CONTENT_TYPES.length} events with different content types, one with none`,
    requests: CONTENT_TYPES.length,
    mend: 'Take the body as bytes whatever its content-type says (Express: express.raw({ type: () => true })).',
    run: async endpoint => {
      const findings = await Promise.all(
        CONTENT_TYPES.map(async contentType =>
          judgeAccepted(
            await endpoint.deliver(endpoint.event(), { contentType }),
            contentType ?? 'One without content-type'
          )
        )
      )
      const finding = worst(findings)
      return finding.status === 'well' ? well(`All ${findings.length} are accepted.`) : finding
    }
  }
]
