// Tested by test/tools/doctor/faults.slow.test.ts.
import { DOCTOR } from '../../event-types.ts'
import { macBody, macV0 } from '../send/sign.ts'
import { type Check, fail, pass, skip, WRONG_KEY, warn } from './check.ts'
import type { Baseline, Endpoint, Reply } from './endpoint.ts'
import {
  describeReply,
  isAccepted,
  isForbidden,
  isInTime,
  isRedirect,
  isRefused,
  statusOf
} from './expectations.ts'

/** Runs first, because every other check depends on it. */
export const authentic: Check = {
  id: 'authentic',
  area: 'reach',
  title: 'A delivery signed as Customer.io signs is accepted',
  sends:
    'one event of type doctor, signed with your key; a second one if the first is not answered in time; if it is refused, up to four more that show why (another key, a known type, the signature over the body alone, with the prefix v0=)',
  requests: 6,
  expects: '2xx within 4 s',
  why: 'Customer.io holds back every later event until this one is answered 2xx, for up to 7 days, and waits an hour after a 4xx, 500 or 502.',
  remedy:
    'Verify HMAC-SHA256 over "v0:" + x-cio-timestamp + ":" + the raw body, hex, with the signing key that Customer.io shows beside this webhook (not an API key; every webhook may have its own).',
  needs: 'acceptance',
  run: async endpoint => {
    const first = await endpoint.deliver()
    if (first.kind === 'none' && first.reason === 'unreachable') return fail(`${describeReply(first)}.`)
    // One late answer may be a cold start; two are a pattern.
    const reply = isInTime(first) ? first : await endpoint.deliver()
    const { baseline, diagnosis = '' } = await examine(endpoint, reply)
    endpoint.state.baseline = baseline
    endpoint.state.diagnosis = diagnosis
    const described = describeReply(reply)
    switch (baseline) {
      case 'accepted':
        return first === reply
          ? pass(`Accepted: ${described}.`)
          : warn(
              `The second was accepted (${described}), the first was not answered in time (${describeReply(first)}).`
            )
      case 'slow':
        return warn(`Accepted, but too late: ${described}. See answer-time.`)
      case 'redirected':
        return skip(`Redirected: ${described}. See redirect.`)
      case 'forbidden':
        return diagnosis === ''
          ? skip(
              'Your address is not on the list of allowed sources, which is correct. To run all checks, add it temporarily (CIO_ALLOWED_IPS), or run the doctor from an allowed address.'
            )
          : fail(diagnosis)
      default:
        return fail(diagnosis || `Not accepted: ${described}.`)
    }
  }
}

interface Diagnosis {
  readonly baseline: Baseline
  readonly diagnosis?: string
}

async function examine(endpoint: Endpoint, reply: Reply): Promise<Diagnosis> {
  if (isAccepted(reply)) return { baseline: isInTime(reply) ? 'accepted' : 'slow' }
  if (isRedirect(reply)) return { baseline: 'redirected' }
  const described = describeReply(reply)
  if (reply.kind === 'none') {
    return { baseline: 'silent', diagnosis: `No answer to an authentic delivery: ${described}.` }
  }
  if (!isRefused(reply)) {
    return { baseline: 'unavailable', diagnosis: `The endpoint cannot keep events: ${described}.` }
  }
  if (isForbidden(reply)) return { baseline: 'forbidden' }
  // Each further request would take as long.
  if (!isInTime(reply)) return { baseline: 'refused' }

  const forged = await endpoint.deliver(endpoint.event(), { key: WRONG_KEY })
  if (statusOf(forged) !== reply.status) {
    // The signature counts, so the endpoint refuses the event itself.
    endpoint.state.objectType = 'email'
    const known = await endpoint.deliver()
    if (isAccepted(known)) return { baseline: isInTime(known) ? 'accepted' : 'slow' }
    endpoint.state.objectType = DOCTOR
  }
  const diagnosis = (await knownFault(endpoint)) ?? unknownFault(reply)
  return { baseline: reply.status === 403 ? 'forbidden' : 'refused', diagnosis }
}

const unknownFault = (reply: Reply): string =>
  statusOf(reply) === 403
    ? '403, for authentic and forged deliveries alike: either your address is not on the list of allowed sources, or the endpoint has another key.'
    : `Not accepted: ${describeReply(reply)}. The endpoint has another key, or verifies other bytes than Customer.io signs.`

/** Faults seen in other endpoints, each of which accepts a signature that Customer.io never sends. */
async function knownFault(endpoint: Endpoint): Promise<string | undefined> {
  const key = endpoint.key ?? ''
  const timestamp = String(endpoint.nowSeconds)
  const send = (body: Buffer, signature: string): Promise<Reply> =>
    endpoint.post(body, {
      headers: [
        ['x-cio-timestamp', timestamp],
        ['x-cio-signature', signature]
      ]
    })
  const first = endpoint.event()
  if (isAccepted(await send(first, macBody(key, first)))) {
    return 'The endpoint verifies the signature over the body alone, without "v0:" and the timestamp: it refuses what Customer.io sends.'
  }
  const second = endpoint.event()
  if (isAccepted(await send(second, `v0=${macV0(key, second, timestamp)}`))) {
    return 'The endpoint expects the prefix "v0=" before the signature: Customer.io sends bare hex, which it refuses.'
  }
  return undefined
}
