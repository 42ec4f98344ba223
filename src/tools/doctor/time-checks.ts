import { type Check, note, well } from './check.ts'
import { isAccepted, judgeEachRefused, judgeRefused, tell } from './expectations.ts'

const DAY_SECONDS = 86_400
/** Older than any retry of Customer.io, and than what a receiver can be asked to remember. */
const STALE_DAYS = 30

const shared = {
  area: 'time',
  expects: '401',
  requests: 1,
  needs: 'acceptance',
  why: 'A delivery that somebody has captured (from a log, a proxy, a mirror) can be sent again until its timestamp is too old. Without that, for ever: longer than any memory of event ids.',
  mend: 'After the signature is right, refuse a timestamp that is older than you remember event ids, or more than 5 minutes ahead.'
} as const

export const timeChecks: readonly Check[] = [
  {
    ...shared,
    id: 'stale-timestamp',
    title: `A delivery signed ${STALE_DAYS} days ago is refused`,
    sends: `one event with a right signature of ${STALE_DAYS} days ago`,
    after: ['no-signature', 'wrong-key'],
    run: async endpoint => {
      const timestamp = endpoint.nowSeconds - STALE_DAYS * DAY_SECONDS
      return judgeRefused(endpoint, await endpoint.deliver(endpoint.event(), { timestamp }))
    }
  },
  {
    ...shared,
    id: 'future-timestamp',
    title: 'A delivery signed for tomorrow is refused',
    sends: 'one event with a right signature of tomorrow',
    after: ['no-signature', 'wrong-key', 'stale-timestamp'],
    run: async endpoint => {
      const timestamp = endpoint.nowSeconds + DAY_SECONDS
      return judgeRefused(endpoint, await endpoint.deliver(endpoint.event(), { timestamp }))
    }
  },
  {
    ...shared,
    id: 'odd-timestamp',
    title: 'A signed timestamp that is no time is refused',
    sends:
      'five events with right signatures over timestamps that are empty, a word, negative, huge, hexadecimal',
    requests: 5,
    why: 'now - "x" is not a number, and no comparison with it is true: the check of the age lets it pass.',
    mend: 'Look whether the timestamp is all digits before you calculate with it.',
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
    sends: 'one event with a right signature of an hour ago',
    expects: '2xx',
    why: 'Customer.io does not say whether it signs its retries afresh. If it does not, a receiver that refuses old signatures refuses every retry, and the queue stands still for 7 days.',
    mend: 'Accept signatures for as long as you remember event ids: a replay within that time is a duplicate.',
    run: async endpoint => {
      const reply = await endpoint.deliver(endpoint.event(), { timestamp: endpoint.nowSeconds - 3600 })
      return isAccepted(reply)
        ? well(`Accepted: ${tell(reply)}.`)
        : note(
            `Refused: ${tell(reply)}. If Customer.io does not sign its retries afresh, each retry is refused too.`
          )
    }
  }
]
