// Tested by test/tools/doctor/faults.slow.test.ts.
import { publishedAddresses } from '../../receive/published-addresses.ts'
import type { Header } from '../send/sign.ts'
import { type Check, type Finding, fail, NOT_ACCEPTED, pass, skip, UNUSED_ADDRESS, warn } from './check.ts'
import type { Baseline, Endpoint, Reply } from './endpoint.ts'
import { describeReply, isAccepted, isBroken, statusOf } from './expectations.ts'

/** The documentation prefix (RFC 3849). */
const UNUSED_V6 = '2001:db8::9'
const CUSTOMER_IO = publishedAddresses[0] ?? ''
const CUSTOMER_IO_V6 = `::ffff:${CUSTOMER_IO}`

/** Other headers in which proxies pass on the sender's address. */
const OTHER_HEADERS = [
  'x-real-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'forwarded'
] as const

const shared = {
  area: 'address',
  expects: 'the same answer as without the headers',
  requests: 3,
  needs: 'anyone',
  why: 'A sender that can choose its apparent address passes the list of allowed sources, hides in the logs, and can get others blocked for its failed attempts.',
  remedy:
    'Trust x-forwarded-for only from your own proxies (TRUSTED_PROXIES), read it from the right, and let the first proxy set the header instead of passing on what it received.'
} as const

const oneHeader = (...addresses: readonly string[]): readonly Header[] => [
  ['x-forwarded-for', addresses.join(', ')]
]
const twoHeaders = (...addresses: readonly string[]): readonly Header[] =>
  addresses.map(address => ['x-forwarded-for', address])

export const addressChecks: readonly Check[] = [
  {
    ...shared,
    id: 'forged-forwarded-for',
    title: 'A forged x-forwarded-for has no effect',
    sends:
      'the same delivery without the header, and twice with it: a published Customer.io address and an unused one, in both orders',
    run: endpoint =>
      compareOrders(endpoint, oneHeader(UNUSED_ADDRESS, CUSTOMER_IO), oneHeader(CUSTOMER_IO, UNUSED_ADDRESS))
  },
  {
    ...shared,
    id: 'forged-forwarded-twice',
    title: 'A forged x-forwarded-for that is sent twice has no effect',
    sends: 'the same, the two addresses in two headers of that name',
    after: ['forged-forwarded-for'],
    run: endpoint =>
      compareOrders(
        endpoint,
        twoHeaders(UNUSED_ADDRESS, CUSTOMER_IO),
        twoHeaders(CUSTOMER_IO, UNUSED_ADDRESS)
      )
  },
  {
    ...shared,
    id: 'forged-forwarded-ipv6',
    title: 'A forged x-forwarded-for with IPv6 addresses has no effect',
    sends: 'the same, with an unused IPv6 address and the Customer.io address written as IPv6',
    after: ['forged-forwarded-for'],
    run: endpoint =>
      compareOrders(endpoint, oneHeader(UNUSED_V6, CUSTOMER_IO_V6), oneHeader(CUSTOMER_IO_V6, UNUSED_V6))
  },
  {
    ...shared,
    id: 'forged-other-headers',
    title: 'Other headers with a forged address have no effect',
    sends: `the same delivery without and with ${OTHER_HEADERS.join(', ')}; if together they change the answer, each of them alone too`,
    requests: 2 + OTHER_HEADERS.length,
    run: tryOtherHeaders
  }
]

/** Whether the address is allowed to deliver; `undefined` if the answer does not show it. */
function admitted(reply: Reply): boolean | undefined {
  if (isAccepted(reply) || statusOf(reply) === 401) return true
  return statusOf(reply) === 403 ? false : undefined
}

/** A delivery as authentic as possible: in `--read-only` it has no signature. */
const send = (endpoint: Endpoint, headers: readonly Header[]): Promise<Reply> =>
  endpoint.state.baseline === 'unknown'
    ? endpoint.post(endpoint.event(), { headers })
    : endpoint.deliver(endpoint.event(), { headers })

const comparable: ReadonlySet<Baseline> = new Set(['unknown', 'accepted', 'forbidden'])

/**
 * The doctor cannot choose its own address, but it can compare. Of two claims that differ only in their order, an
 * endpoint that ignores the header treats both like the plain connection. One that trusts the leftmost or the rightmost
 * address treats them differently, whether or not the doctor's own address is allowed.
 */
async function compareOrders(
  endpoint: Endpoint,
  unusedFirst: readonly Header[],
  customerIoFirst: readonly Header[]
): Promise<Finding> {
  if (!comparable.has(endpoint.state.baseline)) return skip(NOT_ACCEPTED)
  const replies = await Promise.all(
    [[], unusedFirst, customerIoFirst].map(headers => send(endpoint, headers))
  )
  const broken = replies.find(isBroken)
  if (broken !== undefined && statusOf(broken) !== 503)
    return fail(`It causes an error: ${describeReply(broken)}.`)
  const [plain, unused, customerIo] = replies.map(admitted)
  if (plain === undefined || unused === undefined || customerIo === undefined) {
    return skip(`The answers cannot be compared: ${replies.map(describeReply).join(', ')}.`)
  }
  if (unused === plain && customerIo === plain) return unchanged(endpoint, plain)
  if (unused === customerIo) {
    return fail(
      plain
        ? 'With the header an allowed sender is refused: the endpoint trusts it.'
        : 'With the header a refused sender is let in: the endpoint trusts it.'
    )
  }
  if (customerIo) {
    return fail(
      'The endpoint trusts the leftmost address, which every sender can write: with it, anyone can claim to be Customer.io.'
    )
  }
  const trusted = 'The endpoint trusts the rightmost address of the header.'
  return endpoint.fromPrivateAddress
    ? warn(
        `${trusted} That is right if your address is one of its proxies (${endpoint.remoteAddress} is inside your network); otherwise anyone can write it. Run the check again from outside.`
      )
    : fail(`${trusted} You are not one of its proxies: anyone can write it.`)
}

async function tryOtherHeaders(endpoint: Endpoint): Promise<Finding> {
  if (!comparable.has(endpoint.state.baseline)) return skip(NOT_ACCEPTED)
  const plain = admitted(await send(endpoint, []))
  if (plain === undefined) return skip('The answer does not show whether your address is allowed.')
  const claim = plain ? UNUSED_ADDRESS : CUSTOMER_IO
  const header = (name: string): Header => [name, name === 'forwarded' ? `for=${claim}` : claim]
  const together = await send(endpoint, OTHER_HEADERS.map(header))
  if (admitted(together) === plain) return unchanged(endpoint, plain)
  const replies = await Promise.all(
    OTHER_HEADERS.map(async name => ({ name, reply: await send(endpoint, [header(name)]) }))
  )
  const trusted = replies.filter(({ reply }) => admitted(reply) !== plain).map(({ name }) => name)
  return fail(
    `${trusted.join(', ') || 'Several of them together'}: ${plain ? 'an allowed sender is refused' : 'a refused sender is let in'} (${describeReply(together)}), so the endpoint trusts it.`
  )
}

function unchanged(endpoint: Endpoint, plain: boolean): Finding {
  if (endpoint.state.baseline === 'unknown' && plain) {
    return skip(
      'Deliveries without a signature get the same answer; only one with a signature would show whether the address counts.'
    )
  }
  return pass(`Your address is ${plain ? 'allowed' : 'refused'}, with and without.`)
}
