// Tested by test/tools/doctor/faults.slow.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Check, type Finding, fail, pass, warn } from './check.ts'
import type { Reply } from './endpoint.ts'
import {
  acceptedCheck,
  describeReply,
  isAccepted,
  isBroken,
  isRefused,
  isTimeout,
  judgeAccepted,
  outcomeOf,
  statusOf
} from './expectations.ts'

const MIB = 1024 * 1024
/** With "body content" on, an event contains the whole message. */
const LARGE_BYTES = 2 * MIB
const DECLARED_BYTES = 256 * MIB
const CHUNKED_BYTES = 16 * MIB
const PIECE = Buffer.alloc(64 * 1024, ' ')

/** How long the doctor waits for an endpoint to give up on a body that does not arrive. */
const STALL_MS = 8000
/** A slow body is spread over this time: well within Customer.io's 4 s. */
const DRIP_MS = 1000
const DRIPS = 5

const shared = { area: 'body', requests: 1 } as const
const WAITS = 'Customer.io waits an hour after a 4xx, and holds back every later event.'

export const bodyChecks: readonly Check[] = [
  acceptedCheck({
    ...shared,
    id: 'large-body',
    alone: true,
    title: 'An event of 2 MiB is accepted',
    sends: 'one event of 2 MiB',
    expects: '2xx',
    needs: 'acceptance',
    why: `With "body content" on, Customer.io sends whole messages. ${WAITS}`,
    remedy:
      'Raise the limit of the endpoint and of each proxy in front of it to 5 MiB (nginx: client_max_body_size, 1 MiB by default; Express: limit of express.raw(), 100 kB by default).',
    send: endpoint =>
      endpoint.deliver(endpoint.event({ data: { note: 'x'.repeat(LARGE_BYTES) } }), { timed: false })
  }),
  acceptedCheck({
    ...shared,
    id: 'chunked-body',
    title: 'An event whose length is not declared is accepted',
    sends: 'one event with transfer-encoding: chunked',
    expects: '2xx',
    needs: 'acceptance',
    why: `HTTP allows it, and a proxy may send it this way. ${WAITS}`,
    remedy: 'Read the body to its end, up to a limit, instead of relying on content-length.',
    send: endpoint => endpoint.deliver(endpoint.event(), { declared: 'chunked' })
  }),
  acceptedCheck({
    ...shared,
    id: 'slow-body',
    alone: true,
    title: 'An event that arrives in pieces within a second is accepted',
    sends: `one event in ${DRIPS} pieces over ${DRIP_MS / 1000} s`,
    expects: '2xx',
    needs: 'acceptance',
    why: `A slow network must not cost an event. ${WAITS}`,
    remedy: 'Give the body at least 3 s to arrive.',
    send: endpoint => {
      const body = endpoint.event()
      return endpoint.deliver(body, { pieces: dripped(body), timed: false })
    }
  }),
  {
    ...shared,
    id: 'truncated-body',
    alone: true,
    title: 'A truncated event is not processed',
    sends: 'half of one event, then the connection ends; then the whole event',
    requests: 2,
    expects: 'no effect of the half, the whole accepted',
    needs: 'acceptance',
    why: 'Connections break every day. If the half is remembered, the retry is called a duplicate and the event is lost.',
    remedy: 'Do nothing with a body before it is complete and its signature is verified.',
    run: async endpoint => {
      const body = endpoint.event()
      const headers = endpoint.signed(body)
      await endpoint.post(body, { headers, pieces: cutOff(body), timed: false })
      const reply = await endpoint.post(body, { headers })
      if (isAccepted(reply) && outcomeOf(reply) === 'duplicate') {
        return fail('The whole event is called a duplicate of its half.')
      }
      return judgeAccepted(reply, 'The whole event')
    }
  },
  {
    ...shared,
    id: 'stalled-body',
    alone: true,
    title: 'A body that never ends does not hold a connection for long',
    sends: `half of one unsigned event, and then nothing for up to ${STALL_MS / 1000} s`,
    expects: 'an answer, or the connection closed',
    needs: 'anyone',
    why: 'A few hundred such connections, which cost an attacker nothing, can use up all connections of an endpoint, and lock Customer.io out.',
    remedy:
      'Limit the time of a whole request to a few seconds (Node: requestTimeout; nginx: client_body_timeout).',
    run: async endpoint => {
      const body = endpoint.event()
      const reply = await endpoint.post(body, {
        pieces: stalled(body),
        timed: false,
        timeoutMs: STALL_MS
      })
      return isTimeout(reply)
        ? warn(`The connection is still held after ${STALL_MS / 1000} s.`)
        : pass(`Ended: ${describeReply(reply)}.`)
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
    why: 'Bodies are kept in memory until their signature is verified. Without a limit, a few requests from anyone fill it.',
    remedy: 'Limit the body to 5 MiB, and answer 413 as soon as content-length exceeds it.',
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
    title: 'A body that grows too large is refused while it arrives',
    sends: `one unsigned request of up to ${CHUNKED_BYTES / MIB} MiB whose length is not declared`,
    expects: '413',
    needs: 'anyone',
    why: 'A limit that only checks content-length does not stop an attacker, who leaves it out.',
    remedy: 'Count the bytes as they arrive, and answer 413 beyond 5 MiB.',
    run: async endpoint => {
      const counter = { bytes: 0 }
      const reply = await endpoint.post(PIECE, {
        declared: 'chunked',
        pieces: growing(counter),
        timed: false
      })
      // After its 413 a proxy reads on for a while and discards the data: the limit works.
      if (counter.bytes >= CHUNKED_BYTES && statusOf(reply) !== 413) {
        return fail(`All ${CHUNKED_BYTES / MIB} MiB are read before the answer: ${describeReply(reply)}.`)
      }
      return judgeOversize(reply)
    }
  }
]

function judgeOversize(reply: Reply): Finding {
  const described = describeReply(reply)
  if (isAccepted(reply)) return fail(`Accepted: ${described}.`)
  if (isBroken(reply) && statusOf(reply) !== 503) return fail(`It causes an error: ${described}.`)
  if (isTimeout(reply)) return fail(`The endpoint waits for all of it: ${described}.`)
  return pass(`${isRefused(reply) ? 'Refused' : 'Not accepted'}: ${described}.`)
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
  throw new Error('the connection ends here')
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
