import { DOCTOR } from '../receive/event-type.ts'
import { macBody, macV0 } from '../send/sign.ts'
import { type Check, note, unjudged, well, wrong } from './check.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import { isAccepted, isForbidden, isInTime, isRedirect, isRefused, statusOf, tell } from './judge.ts'

/** First of all: is a delivery accepted that is signed as Customer.io signs? Everything else hangs on it. */
export const authentic: Check = {
  id: 'authentic',
  area: 'reach',
  title: 'A delivery signed as Customer.io signs is accepted',
  sends:
    'one event of type doctor, signed with your key; where it is refused, up to four more that tell why (another key, a known type, the signature over the body alone, with the prefix v0=)',
  requests: 5,
  expects: '2xx within 4 s',
  why: 'Customer.io holds back every later event until this one is answered 2xx, for up to 7 days, and waits an hour after a 4xx, 500 or 502.',
  mend: 'Verify HMAC-SHA256 over "v0:" + x-cio-timestamp + ":" + the raw body, hex, with the signing key that Customer.io shows beside this webhook (an API key is another thing; every webhook may have its own).',
  needs: 'acceptance',
  run: async endpoint => {
    const reply = await endpoint.deliver()
    endpoint.standingReply = reply
    endpoint.standing = await standingOf(endpoint, reply)
    switch (endpoint.standing) {
      case 'accepted':
        return well(`Accepted: ${tell(endpoint.standingReply)}.`)
      case 'slow':
        return note(`Accepted, but too late: ${tell(reply)}. See answer-time.`)
      case 'redirected':
        return unjudged(`Sent elsewhere: ${tell(reply)}. See redirect.`)
      case 'forbidden':
        return endpoint.diagnosis === ''
          ? unjudged(
              'Your address is not on the list of allowed sources, which is as it should be. To have the rest judged, add it for the time (CIO_ALLOWED_IPS), or run the doctor on an address that is allowed.'
            )
          : wrong(endpoint.diagnosis)
      default:
        return wrong(endpoint.diagnosis || `Not accepted: ${tell(reply)}.`)
    }
  }
}

async function standingOf(endpoint: Endpoint, reply: Reply): Promise<Endpoint['standing']> {
  if (isAccepted(reply)) return isInTime(reply) ? 'accepted' : 'slow'
  if (isRedirect(reply)) return 'redirected'
  if (reply.kind === 'none') {
    endpoint.diagnosis = `No answer to an authentic delivery: ${tell(reply)}.`
    return 'silent'
  }
  if (!isRefused(reply)) {
    endpoint.diagnosis = `The receiver can't keep events: ${tell(reply)}.`
    return 'unavailable'
  }
  if (isForbidden(reply)) return 'forbidden'

  const forged = await endpoint.deliver(endpoint.event(), { key: 'not the key' })
  if (statusOf(forged) !== reply.status) {
    // The signature is believed, so it is the event that is not liked.
    endpoint.objectType = 'email'
    const known = await endpoint.deliver()
    if (isAccepted(known)) {
      endpoint.standingReply = known
      return isInTime(known) ? 'accepted' : 'slow'
    }
    endpoint.objectType = DOCTOR
  }
  endpoint.diagnosis = (await knownFault(endpoint)) ?? unknownFault(reply)
  return reply.status === 403 ? 'forbidden' : 'refused'
}

function unknownFault(reply: Reply): string {
  return statusOf(reply) === 403
    ? `403, for authentic and forged deliveries alike: either your address is not on the list of allowed sources, or the receiver has another key.`
    : `Not accepted: ${tell(reply)}. The receiver has another key, or verifies something else than Customer.io signs.`
}

/** Faults seen in other receivers, each of which accepts a signature that Customer.io never sends. */
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
    return 'The receiver verifies the signature over the body alone, without "v0:" and the timestamp: it refuses what Customer.io sends.'
  }
  const second = endpoint.event()
  if (isAccepted(await send(second, `v0=${macV0(key, second, timestamp)}`))) {
    return 'The receiver expects the prefix "v0=" before the signature: Customer.io sends bare hex, and is refused.'
  }
  return undefined
}
