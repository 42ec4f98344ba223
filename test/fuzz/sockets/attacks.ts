import type { Random } from '../../helpers/random.ts'
import { WEBHOOK_PATH } from '../../helpers/sign.ts'
import { type Maker, REFUSALS } from './attack.ts'
import type { Step } from './converse.ts'
import { chunked, oddHeaders, oversized, repeated, smuggled } from './framing.ts'
import { forged, signed } from './requests.ts'

/** After the last byte: nothing, a half-close, or a reset. */
const lastOf = (random: Random): readonly Step[] =>
  random.pick<readonly Step[]>([
    [],
    [],
    [{ end: true }],
    [{ waitMs: 5 }, { end: true }],
    [{ reset: true }],
    [{ waitMs: 5 }, { reset: true }]
  ])

/** Bytes are changed, removed and repeated anywhere in a request, which was authentic before that or not. */
const mangled: Maker = random => {
  const { bytes, claim } = random.chance(0.5) ? signed(random) : forged(random)
  let result = bytes
  for (let step = random.whole(1, 6); step > 0; step--) {
    // Mostly in the head, which is parsed.
    const at = random.whole(0, random.chance(0.8) ? Math.min(260, result.length) : result.length)
    const by = random.pick<Buffer>([
      Buffer.of(random.whole(0, 256)),
      Buffer.alloc(0),
      Buffer.from(random.pick(['\r\n', '\n', '\r', ' ', '\t', ':', '\0', '\u007f', 'é', '\r\n\r\n'])),
      result.subarray(at, at + random.whole(1, 40))
    ])
    result = Buffer.concat([result.subarray(0, at), by, result.subarray(at + random.whole(0, 4))])
  }
  // It may not be a complete request any more: the service may wait for a body.
  return {
    name: 'mangled',
    steps: [{ send: result }, ...lastOf(random)],
    awaited: 1,
    whole: false,
    allowed: [200, ...REFUSALS, 503],
    claims: claim === undefined ? [] : [claim]
  }
}

const requestLines =
  'GET / HTTP/1.1|POST WEBHOOK HTTP/9.9|POST WEBHOOK HTTP/1.0|POST WEBHOOK|POST  WEBHOOK HTTP/1.1|post WEBHOOK HTTP/1.1|PUT WEBHOOK HTTP/1.1|TRACE WEBHOOK HTTP/1.1|CONNECT example.com:443 HTTP/1.1|OPTIONS * HTTP/1.1|PRI * HTTP/2.0|POST http://evil.example/WEBHOOK HTTP/1.1|POST WEBHOOK/../../healthz HTTP/1.1|POST WEBHOOK/%2e%2e HTTP/1.1|POST WEBHOOK/%ff%fe HTTP/1.1|POST WEBHOOK/%00 HTTP/1.1|POST WEBHOOK/__proto__ HTTP/1.1|POST WEBHOOK/constructor HTTP/1.1|POST WEBHOOK?%00=%zz HTTP/1.1|POST //api//cio//webhook HTTP/1.1|GET /metrics HTTP/1.1|POST /metrics HTTP/1.1|GET /healthz?%zz HTTP/1.1|DELETE /healthz HTTP/1.1|GET /%zz HTTP/1.1|QUERY WEBHOOK HTTP/1.1|\u0016\u0003\u0001\u0002|'.split(
    '|'
  )

/** Unusual request lines, followed by the headers and body of a forged delivery. */
const lines: Maker = random => {
  const line = random.pick(requestLines).replace('WEBHOOK', WEBHOOK_PATH)
  const { bytes } = forged(random)
  const rest = bytes.subarray(bytes.indexOf('\r\n'))
  return {
    name: 'request line',
    steps: [{ send: Buffer.concat([Buffer.from(line, 'latin1'), rest]) }],
    awaited: 1,
    whole: false,
    allowed: [200, 204, ...REFUSALS],
    claims: []
  }
}

/** An authentic delivery in many pieces: it is accepted. */
const pieces: Maker = random => {
  const { bytes, claim } = signed(random)
  const steps: Step[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = random.whole(1, 200)
    steps.push({ send: bytes.subarray(at, at + length) }, { waitMs: random.whole(0, 3) })
    at += length
  }
  return {
    name: 'in pieces',
    steps,
    awaited: 1,
    whole: true,
    allowed: [200],
    claims: [{ ...claim, sure: true }]
  }
}

/** A part of a delivery, then nothing, a half-close or a reset. */
const partial: Maker = random => {
  const { bytes, claim } = random.chance(0.5) ? signed(random) : forged(random)
  const part = bytes.subarray(0, random.whole(0, bytes.length))
  return {
    name: 'partial',
    steps: [{ send: part }, ...lastOf(random)],
    awaited: 1,
    whole: false,
    allowed: [...REFUSALS, 503],
    claims: claim === undefined ? [] : [claim]
  }
}

/** Several requests at once on one connection. The authentic ones are accepted. */
const pipelined: Maker = random => {
  const requests = Array.from({ length: random.whole(2, 9) }, () =>
    random.chance(0.6) ? signed(random) : forged(random)
  )
  const claims = requests.flatMap(({ claim }) => (claim === undefined ? [] : [{ ...claim, sure: true }]))
  return {
    name: 'pipelined',
    steps: [{ send: Buffer.concat(requests.map(({ bytes }) => bytes)) }],
    awaited: requests.length,
    whole: true,
    // Without enough CPU time the service answers 503 (overloaded), which checks.ts allows.
    allowed: [200, 401, 403, 404, 429, 503],
    claims
  }
}

export const makers: readonly Maker[] = [
  mangled,
  mangled,
  lines,
  pieces,
  partial,
  pipelined,
  chunked,
  smuggled,
  repeated,
  oversized,
  oddHeaders
]
