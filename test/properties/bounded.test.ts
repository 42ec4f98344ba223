// Law 9: without a key it is impossible to stop the process, delay authentic deliveries, or trigger the outage alert.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { parseAnswers } from '../fuzz/sockets/converse.ts'
import { postText, sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'
import { signV0 } from '../helpers/sign.ts'

const LISTED = '127.0.0.2'
const KIB = 1024
const HOLD_MS = 3700

// The tests mostly wait.
t.jobs = 2

const redis = await startRedis()
t.teardown(() => redis.stop())

/** A connection of a client without a key. */
interface Hostile {
  readonly address: number
  readonly declaredBytes: number
  readonly sentShare: number
  readonly framing: 'length' | 'chunked' | 'one-byte chunks' | 'expect'
  readonly pipelined: number
  readonly end: 'hold' | 'reset' | 'half-close'
}

const hostile: fc.Arbitrary<Hostile> = fc.record({
  address: fc.integer({ min: 10, max: 30 }),
  declaredBytes: fc.constantFrom(0, 1, 100, 64 * KIB, 128 * KIB, 1024 * KIB, 5120 * KIB, 5121 * KIB, 1e9),
  sentShare: fc.constantFrom(0, 0.5, 0.999, 1),
  framing: fc.constantFrom('length', 'chunked', 'one-byte chunks', 'expect'),
  pipelined: fc.constantFrom(1, 1, 1, 3, 100),
  end: fc.constantFrom('hold', 'reset', 'half-close')
})

function bytesOf({ declaredBytes, sentShare, framing, pipelined }: Hostile): Buffer {
  const sent = Math.floor(Math.min(declaredBytes, 6e6) * sentShare)
  const request = (): Buffer => {
    switch (framing) {
      case 'chunked':
        return postText(`${sent.toString(16)}\r\n${'x'.repeat(sent)}\r\n`, { 'transfer-encoding': 'chunked' })
      case 'one-byte chunks':
        return postText('1\r\nx\r\n'.repeat(Math.min(sent, 20_000)), { 'transfer-encoding': 'chunked' })
      default: {
        const expect: Record<string, string> = framing === 'expect' ? { expect: '100-continue' } : {}
        return postText('x'.repeat(sent), { 'content-length': String(declaredBytes), ...expect })
      }
    }
  }
  return declaredBytes > 100 ? request() : Buffer.concat(Array.from({ length: pipelined }, request))
}

/** @returns the status codes received until the connection is closed, or held for longer than any deadline */
function attack(port: number, one: Hostile): Promise<readonly number[]> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.2.${one.address}` })
    let received = ''
    const timer = setTimeout(() => socket.destroy(), HOLD_MS)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      received += chunk
    })
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(parseAnswers(received).answers.map(({ status }) => status))
    })
    socket.write(bytesOf(one), () => {
      if (one.end === 'reset') socket.resetAndDestroy()
      if (one.end === 'half-close') socket.end()
    })
  })
}

let ids = 0
async function deliver({ port }: TestService): Promise<number> {
  const body = `{"event_id":"bounded-${++ids}"}`
  return (await sendRaw(port, postText(body, signV0(body)), { localAddress: LISTED })).status
}

for (const [policy, env, refusals] of [
  ['only listed addresses are allowed', {}, [400, 403, 408, 413, 429]],
  ['any address is allowed', { CIO_ALLOWED_IPS: '*' }, [400, 401, 413, 429, 503]]
] as const) {
  t.test(
    `requests without a key neither stop authentic deliveries nor trigger the alert: ${policy}`,
    async t => {
      let accepted = 0
      const service = await startTestService({ REDIS_URL: redis.url, CIO_ALLOWED_IPS: LISTED, ...env })
      t.teardown(() => service.close())
      await fc.assert(
        fc.asyncProperty(fc.array(hostile, { minLength: 16, maxLength: 40 }), async attacks => {
          const attacked = Promise.all(attacks.map(one => attack(service.port, one)))
          for (let n = 0; n < 5; n++) {
            if ((await deliver(service)) !== 200) throw new Error('an authentic delivery was not accepted')
            accepted++
            await sleep(10)
          }
          const seen = new Set((await attacked).flat())
          const unexpected = [...seen].filter(status => !(refusals as readonly number[]).includes(status))
          if (unexpected.length > 0) throw new Error(`unexpected status ${unexpected}`)
        }),
        { numRuns: 2, endOnFailure: true }
      )
      const metrics = await until('the metrics', async () => (await fetch(`${service.url}/metrics`)).text())
      t.match(metrics, /^cio_deliveries_total\{source="default",outcome="unavailable"\} 0$/m)
      t.match(metrics, /^cio_deliveries_total\{source="default",outcome="aborted"\} [1-9]/m)
      t.match(
        metrics,
        new RegExp(`^cio_deliveries_total\\{source="default",outcome="accepted"\\} ${accepted}$`, 'm')
      )
    }
  )
}
