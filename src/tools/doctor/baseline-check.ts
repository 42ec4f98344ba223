import { DOCTOR } from '../../event-types.ts'
import { macBody, macV0 } from '../send/sign.ts'
import { type Check, note, unjudged, well, wrong } from './check.ts'
import type { Endpoint, Reply, Standing } from './endpoint.ts'
import { isAccepted, isForbidden, isInTime, isRedirect, isRefused, statusOf, tell } from './expectations.ts'

/** First of all: is a delivery accepted that is signed as Customer.io signs? Every other check depends on it. */
export const authentic: Check = {
  id: 'authentic',
  area: 'reach',
  title: 'A delivery signed as Customer.io signs is accepted',
  sends:
    'one event of type doctor, signed with your key; a second one if the first is not answered in time; where it is refused, up to four more that show why (another key, a known type, the signature over the body alone, with the prefix v0=)',
  requests: 6,
  expects: '2xx within 4 s',
  why: 'Customer.io holds back every later event until this one is answered 2xx, for up to 7 days, and waits an hour after a 4xx, 500 or 502.',
  mend: 'Verify HMAC-SHA256 over "v0:" + x-cio-timestamp + ":" + the raw body, hex, with the signing key that Customer.io shows beside this webhook (an API key is another thing; every webhook may have its own).',
  needs: 'acceptance',
  run: async endpoint => {
    const first = await endpoint.deliver()
    if (first.kind === 'none' && first.reason === 'unreachable') return wrong(`${tell(first)}.`)
    // One late answer may be a cold start; two are a habit.
    const reply = isInTime(first) ? first : await endpoint.deliver()
    const { standing, diagnosis = '' } = await standingOf(endpoint, reply)
    endpoint.state.standing = standing
    endpoint.state.diagnosis = diagnosis
    switch (standing) {
      case 'accepted':
        return first === reply
          ? well(`Accepted: ${tell(reply)}.`)
          : note(
              `The second was accepted (${tell(reply)}), the first was not answered in time (${tell(first)}).`
            )
      case 'slow':
        return note(`Accepted, but too late: ${tell(reply)}. See answer-time.`)
      case 'redirected':
        return unjudged(`Sent elsewhere: ${tell(reply)}. See redirect.`)
      case 'forbidden':
        return diagnosis === ''
          ? unjudged(
              'Your address is not on the list of allowed sources, which is as it should be. To have the rest judged, add it for the time (CIO_ALLOWED_IPS), or run the doctor on an address that is allowed.'
            )
          : wrong(diagnosis)
      default:
        return wrong(diagnosis || `Not accepted: ${tell(reply)}.`)
    }
  }
}

interface Met {
  readonly standing: Standing
  readonly diagnosis?: string
}

async function standingOf(endpoint: Endpoint, reply: Reply): Promise<Met> {
  if (isAccepted(reply)) return { standing: isInTime(reply) ? 'accepted' : 'slow' }
  if (isRedirect(reply)) return { standing: 'redirected' }
  if (reply.kind === 'none') {
    return { standing: 'silent', diagnosis: `No answer to an authentic delivery: ${tell(reply)}.` }
  }
  if (!isRefused(reply)) {
    return { standing: 'unavailable', diagnosis: `The receiver can't keep events: ${tell(reply)}.` }
  }
  if (isForbidden(reply)) return { standing: 'forbidden' }
  // To find out why would take as long for every question.
  if (!isInTime(reply)) return { standing: 'refused' }

  const forged = await endpoint.deliver(endpoint.event(), { key: 'not the key' })
  if (statusOf(forged) !== reply.status) {
    // The signature is believed, so it is the event that is not liked.
    endpoint.state.objectType = 'email'
    const known = await endpoint.deliver()
    if (isAccepted(known)) return { standing: isInTime(known) ? 'accepted' : 'slow' }
    endpoint.state.objectType = DOCTOR
  }
  const diagnosis = (await knownFault(endpoint)) ?? unknownFault(reply)
  return { standing: reply.status === 403 ? 'forbidden' : 'refused', diagnosis }
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
