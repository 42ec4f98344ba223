import { type Check, wrong } from './check.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import { isAccepted, judgeOnce, tell } from './expectations.ts'

const shared = {
  area: 'once',
  expects: '2xx for all, one of them accepted, the others duplicates',
  needs: 'acceptance',
  why: 'Customer.io delivers at least once: after a timeout or a 503 the same event comes again. What is taken twice is counted, mailed or paid twice.',
  mend: 'Remember the event_id and store the event in one atomic act (SET NX in the same script or transaction), and answer a known id with 200.'
} as const

const eventOf = (endpoint: Endpoint): { id: string; body: Buffer } => {
  const id = endpoint.newId()
  return { id, body: endpoint.event({ event_id: id }) }
}

/** @param burst how often the burst sends one event */
export const onceChecks = (burst: number): readonly Check[] => [
  {
    ...shared,
    id: 'replay',
    title: 'A captured delivery that is sent again is accepted once',
    sends: 'one event, then the same bytes with the same signature again',
    requests: 2,
    run: async endpoint => {
      const { id, body } = eventOf(endpoint)
      const headers = endpoint.signed(body)
      const first = await endpoint.post(body, { headers })
      return judgeOnce([first, await endpoint.post(body, { headers })], id)
    }
  },
  {
    ...shared,
    id: 'retry-signed-again',
    title: 'A retry with a fresh timestamp and signature is accepted once',
    sends: 'one event, then the same event signed again',
    requests: 2,
    mend: 'Remember the event by its event_id: a signature or a hash of the request differs from retry to retry.',
    after: ['replay'],
    run: async endpoint => {
      const { id, body } = eventOf(endpoint)
      const first = await endpoint.deliver(body, { timestamp: endpoint.nowSeconds - 1 })
      return judgeOnce([first, await endpoint.deliver(body)], id)
    }
  },
  {
    ...shared,
    id: 'retry-in-flight',
    alone: true,
    title: 'A retry that comes while the first try is under way is accepted once',
    sends: 'one event, and the same signed again before the first is answered',
    requests: 2,
    why: 'Customer.io hangs up after 4 s and tries again while your receiver may still be at work on the first. Looking first and remembering later takes both.',
    after: ['replay'],
    run: async endpoint => {
      const { id, body } = eventOf(endpoint)
      return judgeOnce(
        await together(2, (pieces, index) =>
          endpoint.deliver(body, {
            timestamp: endpoint.nowSeconds - index,
            pieces: pieces(body),
            timed: false
          })
        ),
        id
      )
    }
  },
  {
    ...shared,
    id: 'burst',
    alone: true,
    title: 'A burst of one event is accepted once',
    sends: `one event, ${burst} times at the same moment, and once more after that`,
    requests: burst + 1,
    why: 'Looking whether an id is known and then remembering it are two steps: between them another replica, worker or request does the same.',
    after: ['replay'],
    run: async endpoint => {
      const { id, body } = eventOf(endpoint)
      const headers = endpoint.signed(body)
      const replies = await together(burst, pieces =>
        endpoint.post(body, { headers, pieces: pieces(body), timed: false })
      )
      const finding = judgeOnce(replies, id)
      if (finding.status !== 'well') return finding
      const after = await endpoint.deliver(body)
      return isAccepted(after) ? finding : wrong(`After the burst the same event gets ${tell(after)}.`)
    }
  }
]

/** How long a request waits for the others to be where it is. */
const GATHER_MS = 3000

/**
 * Several requests whose last byte leaves at the same moment: each holds it back until all are connected and
 * have sent the rest.
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
