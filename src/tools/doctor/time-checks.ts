// Tested by test/tools/doctor/faults.slow.test.ts.
import { type Check, pass, warn } from './check.ts'
import { describeReply, isAccepted, judgeEachRefused, refusedCheck } from './expectations.ts'

const HOUR_SECONDS = 3600
const DAY_SECONDS = 86_400
/** Older than any retry of Customer.io, and longer than an endpoint can be expected to remember event ids. */
const STALE_DAYS = 30

const shared = {
  area: 'time',
  expects: '401',
  requests: 1,
  needs: 'acceptance',
  why: 'A captured delivery (from a log, a proxy, a mirror) can be sent again until its timestamp is too old. Without that limit it can be sent again when its event id is long forgotten.',
  remedy:
    'After the signature is verified, refuse a timestamp that is older than you remember event ids, or more than 5 minutes in the future.'
} as const

export const timeChecks: readonly Check[] = [
  refusedCheck({
    ...shared,
    id: 'stale-timestamp',
    title: `A delivery signed ${STALE_DAYS} days ago is refused`,
    sends: `one event with a right signature from ${STALE_DAYS} days ago`,
    after: ['no-signature', 'wrong-key'],
    send: endpoint =>
      endpoint.deliver(endpoint.event(), { timestamp: endpoint.nowSeconds - STALE_DAYS * DAY_SECONDS })
  }),
  refusedCheck({
    ...shared,
    id: 'future-timestamp',
    title: 'A delivery signed for tomorrow is refused',
    sends: 'one event with a right signature for tomorrow',
    after: ['no-signature', 'wrong-key', 'stale-timestamp'],
    send: endpoint => endpoint.deliver(endpoint.event(), { timestamp: endpoint.nowSeconds + DAY_SECONDS })
  }),
  {
    ...shared,
    id: 'odd-timestamp',
    title: 'A signed timestamp that is not a number is refused',
    sends:
      'five events with right signatures over timestamps that are empty, a word, negative, huge, hexadecimal',
    requests: 5,
    why: 'now - "x" is NaN, and every comparison with NaN is false: the check of the age lets it pass.',
    remedy: 'Check that the timestamp is all digits before you calculate with it.',
    after: ['no-signature', 'wrong-key', 'stale-timestamp'],
    run: endpoint =>
      judgeEachRefused(endpoint, ['', 'now', '-1', '9'.repeat(40), '0x7fffffff'], async timestamp => [
        `The timestamp "${timestamp}"`,
        await endpoint.deliver(endpoint.event(), { timestamp })
      ])
  },
  {
    ...shared,
    id: 'hour-old',
    title: 'A delivery signed an hour ago is accepted (reported only)',
    sends: 'one event with a right signature from an hour ago',
    expects: '2xx',
    why: 'Customer.io does not document whether it signs retries again. If it does not, an endpoint that refuses old signatures refuses every retry, and the queue stalls for 7 days.',
    remedy:
      'Accept signatures for as long as you remember event ids: a replay within that time is a duplicate.',
    run: async endpoint => {
      const timestamp = endpoint.nowSeconds - HOUR_SECONDS
      const reply = await endpoint.deliver(endpoint.event(), { timestamp })
      return isAccepted(reply)
        ? pass(`Accepted: ${describeReply(reply)}.`)
        : warn(
            `Refused: ${describeReply(reply)}. If Customer.io does not sign its retries again, each retry is refused too.`
          )
    }
  }
]
