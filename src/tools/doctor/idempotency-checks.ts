// Tested by test/tools/doctor/faults.slow.test.ts.
import { type Check, fail } from './check.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import { describeReply, isAccepted, judgeAcceptedOnce } from './expectations.ts'

const shared = {
  area: 'idempotency',
  expects: '2xx for all, one of them accepted, the others duplicates',
  needs: 'acceptance',
  why: 'Customer.io delivers at least once: after a timeout or a 503 the same event comes again. If it is accepted twice, it is counted, mailed or paid twice.',
  remedy:
    'Remember the event_id and store the event in one atomic operation (SET NX in the same script or transaction), and answer a known id with 200.'
} as const

const newEvent = (endpoint: Endpoint): { id: string; body: Buffer } => {
  const id = endpoint.newId()
  return { id, body: endpoint.event({ event_id: id }) }
}

/** @param burst how often the burst sends one event */
export const idempotencyChecks = (burst: number): readonly Check[] => [
  {
    ...shared,
    id: 'replay',
    title: 'A captured delivery that is sent again is accepted once',
    sends: 'one event, then the same bytes with the same signature again',
    requests: 2,
    run: async endpoint => {
      const { id, body } = newEvent(endpoint)
      const headers = endpoint.signed(body)
      const first = await endpoint.post(body, { headers })
      return judgeAcceptedOnce([first, await endpoint.post(body, { headers })], id)
    }
  },
  {
    ...shared,
    id: 'retry-signed-again',
    title: 'A retry with a fresh timestamp and signature is accepted once',
    sends: 'one event, then the same event signed again',
    requests: 2,
    remedy:
      'Remember the event by its event_id: a signature or a hash of the request differs from retry to retry.',
    after: ['replay'],
    run: async endpoint => {
      const { id, body } = newEvent(endpoint)
      const first = await endpoint.deliver(body, { timestamp: endpoint.nowSeconds - 1 })
      return judgeAcceptedOnce([first, await endpoint.deliver(body)], id)
    }
  },
  {
    ...shared,
    id: 'retry-in-flight',
    alone: true,
    title: 'A retry that arrives while the first attempt is in flight is accepted once',
    sends: 'one event, and the same signed again before the first is answered',
    requests: 2,
    why: 'Customer.io gives up after 4 s and tries again while your endpoint may still process the first attempt. If it looks up the id first and remembers it later, it accepts both.',
    after: ['replay'],
    run: async endpoint => {
      const { id, body } = newEvent(endpoint)
      const replies = await together(2, (pieces, index) => {
        const timestamp = endpoint.nowSeconds - index
        return endpoint.deliver(body, { timestamp, pieces: pieces(body), timed: false })
      })
      return judgeAcceptedOnce(replies, id)
    }
  },
  {
    ...shared,
    id: 'burst',
    alone: true,
    title: 'A burst of one event is accepted once',
    sends: `one event, ${burst} times at the same moment, and once more after that`,
    requests: burst + 1,
    why: 'Looking up an id and remembering it are two steps: in between, another replica, worker or request does the same.',
    after: ['replay'],
    run: async endpoint => {
      const { id, body } = newEvent(endpoint)
      const headers = endpoint.signed(body)
      const replies = await together(burst, pieces =>
        endpoint.post(body, { headers, pieces: pieces(body), timed: false })
      )
      const finding = judgeAcceptedOnce(replies, id)
      if (finding.status !== 'pass') return finding
      const after = await endpoint.deliver(body)
      return isAccepted(after)
        ? finding
        : fail(`After the burst the same event gets ${describeReply(after)}.`)
    }
  }
]

/** How long a request waits for the others before it sends its last byte. */
const GATHER_MS = 3000

/**
 * Sends several requests whose last byte leaves at the same moment: each holds it back until all are connected and have
 * sent the rest.
 */
async function together(
  count: number,
  send: (pieces: (body: Buffer) => AsyncIterable<Buffer>, index: number) => Promise<Reply>
): Promise<readonly Reply[]> {
  let waiting = 0
  let open = (): void => {}
  const gate = new Promise<void>(resolve => {
    open = resolve
  })
  const timer = setTimeout(open, GATHER_MS)
  async function* pieces(body: Buffer): AsyncIterable<Buffer> {
    yield body.subarray(0, -1)
    waiting += 1
    if (waiting === count) open()
    await gate
    yield body.subarray(-1)
  }
  try {
    return await Promise.all(Array.from({ length: count }, (_, index) => send(pieces, index)))
  } finally {
    clearTimeout(timer)
  }
}
