import { publishedAddresses } from '../../receive/published-addresses.ts'
import type { Header } from '../send/sign.ts'
import { type Check, type Finding, NOT_ACCEPTED, note, unjudged, well, wrong } from './check.ts'
import type { Endpoint, Reply, Standing } from './endpoint.ts'
import { isAccepted, isBroken, statusOf, tell } from './expectations.ts'

/** Addresses that nobody has: TEST-NET-3 (RFC 5737) and the documentation prefix (RFC 3849). */
const STRANGER = '203.0.113.9'
const STRANGER_V6 = '2001:db8::9'
const CUSTOMER_IO = publishedAddresses[0] ?? ''
const CUSTOMER_IO_V6 = `::ffff:${CUSTOMER_IO}`

/** Other headers in which proxies tell the sender's address. */
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
  needs: 'anyone',
  why: 'Whoever can choose the address the receiver sees for him passes its list of allowed sources, hides in its logs, and has others locked out for his failures.',
  mend: 'Believe x-forwarded-for only from your own proxies (TRUSTED_PROXIES), read from its right end, and let the first proxy set the header instead of passing on what came.'
} as const

const line = (...addresses: readonly string[]): readonly Header[] => [
  ['x-forwarded-for', addresses.join(', ')]
]
const lines = (...addresses: readonly string[]): readonly Header[] =>
  addresses.map(address => ['x-forwarded-for', address])

export const addressChecks: readonly Check[] = [
  {
    ...shared,
    id: 'forged-forwarded-for',
    title: 'A forged x-forwarded-for changes nothing',
    sends:
      'the same delivery without the header, and twice with it: a published Customer.io address and one of nobody, in both orders',
    requests: 3,
    run: endpoint => askBothOrders(endpoint, line(STRANGER, CUSTOMER_IO), line(CUSTOMER_IO, STRANGER))
  },
  {
    ...shared,
    id: 'forged-forwarded-twice',
    title: 'A forged x-forwarded-for that comes twice changes nothing',
    sends: 'the same, the two addresses in two headers of that name',
    requests: 3,
    after: ['forged-forwarded-for'],
    run: endpoint => askBothOrders(endpoint, lines(STRANGER, CUSTOMER_IO), lines(CUSTOMER_IO, STRANGER))
  },
  {
    ...shared,
    id: 'forged-forwarded-ipv6',
    title: 'A forged x-forwarded-for with IPv6 addresses changes nothing',
    sends: 'the same, with an IPv6 address of nobody and the Customer.io address written as IPv6',
    requests: 3,
    after: ['forged-forwarded-for'],
    run: endpoint =>
      askBothOrders(endpoint, line(STRANGER_V6, CUSTOMER_IO_V6), line(CUSTOMER_IO_V6, STRANGER_V6))
  },
  {
    ...shared,
    id: 'forged-other-headers',
    title: 'Other headers with a forged address change nothing',
    sends: `the same delivery without and with ${OTHER_HEADERS.join(', ')}; each of them alone where together they change the answer`,
    requests: 2 + OTHER_HEADERS.length,
    run: askOtherHeaders
  }
]

/** Was the sender let in by its address? `undefined`: that can't be told. */
function admitted(reply: Reply): boolean | undefined {
  if (isAccepted(reply) || statusOf(reply) === 401) return true
  return statusOf(reply) === 403 ? false : undefined
}

/** A delivery that is as authentic as it may be: in `--read-only` it has no signature. */
const ask = (endpoint: Endpoint, headers: readonly Header[]): Promise<Reply> =>
  endpoint.state.standing === 'unknown'
    ? endpoint.post(endpoint.event(), { headers })
    : endpoint.deliver(endpoint.event(), { headers })

const settled: ReadonlySet<Standing> = new Set(['unknown', 'accepted', 'forbidden'])

/**
 * The doctor can't choose where it comes from, but it can compare. Of two claims that differ in their order
 * only, a receiver that ignores them treats both as the connection; one that believes the leftmost or the
 * rightmost address tells them apart, whether or not the doctor's own address is allowed.
 */
async function askBothOrders(
  endpoint: Endpoint,
  strangerFirst: readonly Header[],
  customerIoFirst: readonly Header[]
): Promise<Finding> {
  if (!settled.has(endpoint.state.standing)) return unjudged(NOT_ACCEPTED)
  const replies = await Promise.all(
    [[], strangerFirst, customerIoFirst].map(headers => ask(endpoint, headers))
  )
  const broken = replies.find(isBroken)
  if (broken !== undefined && statusOf(broken) !== 503)
    return wrong(`It breaks the receiver: ${tell(broken)}.`)
  const [plain, stranger, customerIo] = replies.map(admitted)
  if (plain === undefined || stranger === undefined || customerIo === undefined) {
    return unjudged(`The answers can't be compared: ${replies.map(tell).join(', ')}.`)
  }
  if (stranger === plain && customerIo === plain) return unchanged(endpoint, plain)
  if (stranger === customerIo) {
    return wrong(
      plain
        ? 'With the header an allowed sender is refused: the receiver believes it.'
        : 'With the header a refused sender is let in: the receiver believes it.'
    )
  }
  if (customerIo) {
    return wrong(
      'The receiver believes the leftmost address, which every sender can write himself: with it, anybody comes from Customer.io.'
    )
  }
  const told = 'The receiver believes the rightmost address of the header.'
  return endpoint.fromInside
    ? note(
        `${told} That is right if the address you come from is one of its proxies (${endpoint.remoteAddress} is inside your network); otherwise anybody can write it. Ask again from outside.`
      )
    : wrong(`${told} You are not one of its proxies: anybody can write it.`)
}

async function askOtherHeaders(endpoint: Endpoint): Promise<Finding> {
  if (!settled.has(endpoint.state.standing)) return unjudged(NOT_ACCEPTED)
  const plain = admitted(await ask(endpoint, []))
  if (plain === undefined) return unjudged('Whether your address is allowed can not be told.')
  const claim = plain ? STRANGER : CUSTOMER_IO
  const header = (name: string): Header => [name, name === 'forwarded' ? `for=${claim}` : claim]
  const together = await ask(endpoint, OTHER_HEADERS.map(header))
  if (admitted(together) === plain) return unchanged(endpoint, plain)
  const each = await Promise.all(
    OTHER_HEADERS.map(async name => ({ name, reply: await ask(endpoint, [header(name)]) }))
  )
  const believed = each.filter(({ reply }) => admitted(reply) !== plain).map(({ name }) => name)
  return wrong(
    `${believed.join(', ') || 'Several of them together'}: ${plain ? 'an allowed sender is refused' : 'a refused sender is let in'} (${tell(together)}), so the receiver believes it.`
  )
}

function unchanged(endpoint: Endpoint, plain: boolean): Finding {
  if (endpoint.state.standing === 'unknown' && plain) {
    return unjudged(
      'Nothing changes for a delivery without a signature; whether the address counts shows only with one.'
    )
  }
  return well(
    plain ? 'Your address is allowed, with and without.' : 'Your address is refused, with and without.'
  )
}
