import { setTimeout as sleep } from 'node:timers/promises'
import { type Check, type Finding, note, well, wrong } from './check.ts'
import type { Reply } from './endpoint.ts'
import { isAccepted, isBroken, isRefused, judgeAccepted, outcomeOf, statusOf, tell } from './expectations.ts'

const MIB = 1024 * 1024
/** With "body content" on, an event holds the whole message. */
const LARGE_BYTES = 2 * MIB
const DECLARED_BYTES = 256 * MIB
const CHUNKED_BYTES = 16 * MIB
const PIECE = Buffer.alloc(64 * 1024, ' ')

/** How long the doctor waits for a receiver to tire of a body that does not come. */
const STALL_MS = 8000
/** A slow body is spread over this time: within Customer.io's 4 s. */
const DRIP_MS = 1000
const DRIPS = 5

const shared = { area: 'body', requests: 1 } as const
const ANSWERS = 'Customer.io waits an hour after a 4xx, and holds back every later event.'

export const bodyChecks: readonly Check[] = [
  {
    ...shared,
    id: 'large-body',
    alone: true,
    title: 'An event of 2 MiB is accepted',
    sends: 'one event of 2 MiB',
    expects: '2xx',
    needs: 'acceptance',
    why: `With "body content" on, Customer.io sends whole messages. ${ANSWERS}`,
    mend: 'Raise the limit of the receiver and of each proxy before it to 5 MiB (nginx: client_max_body_size, 1 MiB by default; Express: limit of express.raw(), 100 kB by default).',
    run: async endpoint => {
      const body = endpoint.event({ data: { note: 'x'.repeat(LARGE_BYTES) } })
      return judgeAccepted(await endpoint.deliver(body, { timed: false }))
    }
  },
  {
    ...shared,
    id: 'chunked-body',
    title: 'An event whose length is not declared is accepted',
    sends: 'one event with transfer-encoding: chunked',
    expects: '2xx',
    needs: 'acceptance',
    why: `HTTP allows it, and a proxy on the way may make it so. ${ANSWERS}`,
    mend: 'Read the body to its end instead of trusting content-length, up to a limit.',
    run: async endpoint => judgeAccepted(await endpoint.deliver(endpoint.event(), { declared: 'chunked' }))
  },
  {
    ...shared,
    id: 'slow-body',
    alone: true,
    title: 'An event that arrives in pieces within a second is accepted',
    sends: `one event in ${DRIPS} pieces over ${DRIP_MS / 1000} s`,
    expects: '2xx',
    needs: 'acceptance',
    why: `A slow way is no fault of the event. ${ANSWERS}`,
    mend: 'Give the body at least 3 s to arrive.',
    run: async endpoint => {
      const body = endpoint.event()
      return judgeAccepted(await endpoint.deliver(body, { pieces: dripped(body), timed: false }))
    }
  },
  {
    ...shared,
    id: 'truncated-body',
    alone: true,
    title: 'Half an event is not taken for one',
    sends: 'half of one event, then the connection ends; then the whole of it',
    requests: 2,
    expects: 'nothing for the half, accepted for the whole',
    needs: 'acceptance',
    why: 'A connection that breaks is an everyday thing. If the half is remembered, the retry is called a duplicate and the event is lost.',
    mend: 'Do nothing with a body before all of it is there and its signature is right.',
    run: async endpoint => {
      const body = endpoint.event()
      const headers = endpoint.signed(body)
      await endpoint.post(body, { headers, pieces: cutOff(body), timed: false })
      const reply = await endpoint.post(body, { headers })
      if (isAccepted(reply) && outcomeOf(reply) === 'duplicate') {
        return wrong('The whole event is called a duplicate of its half.')
      }
      return judgeAccepted(reply, 'The whole of it')
    }
  },
  {
    ...shared,
    id: 'stalled-body',
    alone: true,
    title: 'A body that never comes to its end does not hold a connection for long',
    sends: `half of one unsigned event, and then nothing for up to ${STALL_MS / 1000} s`,
    expects: 'an answer or an end of the connection',
    needs: 'anyone',
    why: 'A few hundred such connections, which cost an outsider nothing, can take all that a receiver has, and Customer.io no longer gets in.',
    mend: 'Limit the time a whole request may take to some seconds (Node: requestTimeout; nginx: client_body_timeout).',
    run: async endpoint => {
      const body = endpoint.event()
      const reply = await endpoint.post(body, {
        pieces: stalled(body),
        timed: false,
        timeoutMs: STALL_MS
      })
      if (reply.kind === 'none' && reply.reason === 'timeout') {
        return note(`The connection is still held after ${STALL_MS / 1000} s.`)
      }
      return well(`Ended: ${tell(reply)}.`)
    }
  },
  {
    ...shared,
    id: 'oversize-declared',
    alone: true,
    title: 'A body that is declared too large is refused before it is sent',
    sends: `one unsigned request that declares ${DECLARED_BYTES / MIB} MiB and sends 64 KiB`,
    expects: '413',
    needs: 'anyone',
    why: 'Bodies are kept in memory until their signature is known. Without a limit a few requests of anybody fill it.',
    mend: 'Limit the body to 5 MiB, and answer 413 as soon as content-length says more.',
    run: async endpoint =>
      judgeOversize(
        await endpoint.post(PIECE, {
          declared: DECLARED_BYTES,
          pieces: stalled(Buffer.concat([PIECE, PIECE])),
          timed: false
        })
      )
  },
  {
    ...shared,
    id: 'oversize-chunked',
    alone: true,
    title: 'A body that grows too large is refused on the way',
    sends: `one unsigned request of up to ${CHUNKED_BYTES / MIB} MiB whose length is not declared`,
    expects: '413',
    needs: 'anyone',
    why: 'A limit that looks at content-length only is none: whoever means harm leaves it out.',
    mend: 'Count the bytes as they come, and answer 413 when they are more than 5 MiB.',
    run: async endpoint => {
      const counter = { bytes: 0 }
      const reply = await endpoint.post(PIECE, {
        declared: 'chunked',
        pieces: growing(counter),
        timed: false
      })
      // A proxy reads on for a while and throws it away after it has said 413: that is no lack of a limit.
      if (counter.bytes >= CHUNKED_BYTES && statusOf(reply) !== 413) {
        return wrong(`All ${CHUNKED_BYTES / MIB} MiB are read before the answer: ${tell(reply)}.`)
      }
      return judgeOversize(reply)
    }
  }
]

function judgeOversize(reply: Reply): Finding {
  if (isAccepted(reply)) return wrong(`Accepted: ${tell(reply)}.`)
  if (isBroken(reply) && statusOf(reply) !== 503) return wrong(`It breaks the receiver: ${tell(reply)}.`)
  if (reply.kind === 'none' && reply.reason === 'timeout')
    return wrong(`The receiver waits for all of it: ${tell(reply)}.`)
  if (isRefused(reply)) return well(`Refused: ${tell(reply)}.`)
  return well(`Not taken: ${tell(reply)}.`)
}

async function* dripped(body: Buffer): AsyncIterable<Buffer> {
  const size = Math.ceil(body.length / DRIPS)
  for (let start = 0; start < body.length; start += size) {
    if (start > 0) await sleep(DRIP_MS / (DRIPS - 1))
    yield body.subarray(start, start + size)
  }
}

const half = (body: Buffer): Buffer => body.subarray(0, body.length >> 1)

async function* cutOff(body: Buffer): AsyncIterable<Buffer> {
  yield half(body)
  throw new Error('hangs up here')
}

async function* stalled(body: Buffer): AsyncIterable<Buffer> {
  yield half(body)
  await new Promise<never>(() => {})
}

async function* growing(counter: { bytes: number }): AsyncIterable<Buffer> {
  while (counter.bytes < CHUNKED_BYTES) {
    yield PIECE
    counter.bytes += PIECE.length
  }
}
