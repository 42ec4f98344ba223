// Tested by test/tools/doctor/faults.slow.test.ts.
import { type Check, type Finding, fail, pass, skip, UNUSED_ADDRESS, warn } from './check.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import { describeReply, isAccepted, isBroken, statusOf } from './expectations.ts'

const OTHER_METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** What Prometheus text begins its metrics with. */
const METRICS_TEXT = /^# (HELP|TYPE) /m
/** What a public health page should not contain. */
const INTERNALS =
  /rediss?:\/\/|postgres(ql)?:\/\/|amqps?:\/\/|\bpassword\b|node_modules|\/home\/|\/app\/|\b(10|192\.168|172\.(1[6-9]|2\d|3[01]))\.\d+\.\d+/i

const shared = { area: 'http', needs: 'anyone' } as const

export const httpChecks: readonly Check[] = [
  {
    ...shared,
    id: 'methods',
    title: 'Only POST is accepted',
    sends: `one request without a body for each of ${OTHER_METHODS.join(', ')}`,
    requests: OTHER_METHODS.length,
    expects: '405 or 404',
    why: 'A 2xx to PUT or DELETE claims that an unverified request had an effect; a 5xx shows that the case is not handled.',
    remedy: 'Answer 405 to everything but POST.',
    run: async endpoint => {
      const accepted: string[] = []
      const harmless: string[] = []
      const replies = await Promise.all(
        OTHER_METHODS.map(async method => ({ method, reply: await endpoint.request(method, endpoint.url) }))
      )
      for (const { method, reply } of replies) {
        const described = `${method}: ${describeReply(reply)}`
        const broken = isBroken(reply) && statusOf(reply) !== 501
        if (broken || (isAccepted(reply) && !SAFE_METHODS.has(method))) accepted.push(described)
        else if (isAccepted(reply)) harmless.push(described)
      }
      if (accepted.length > 0) return fail(`${accepted.join(', ')}.`)
      if (harmless.length > 0) return warn(`${harmless.join(', ')}: harmless if it is only a page.`)
      return pass(`None of the other ${OTHER_METHODS.length} is.`)
    }
  },
  {
    ...shared,
    id: 'metrics',
    title: 'Metrics are not public',
    sends:
      'GET /metrics, without and with a header that says the request was forwarded for an outside address',
    requests: 2,
    expects: '403 or 404; from inside your network 200 without the header',
    why: 'Metrics show an attacker how many events you have, when you are down, and how the attempts succeed.',
    remedy:
      'Let only your monitoring read /metrics (METRICS_ALLOWED_IPS, METRICS_PORT), or do not expose the path in the proxy.',
    run: judgeMetrics
  },
  {
    ...shared,
    id: 'healthz',
    title: 'The health page contains nothing internal',
    sends: 'GET /healthz',
    requests: 1,
    expects: '200 or 404, without addresses, paths or credentials',
    why: 'If it fails, a load balancer answers instead of you: its 502 makes Customer.io wait an hour, your own 503 would not.',
    remedy: 'Keep /healthz at 200 while the process can answer, and let it say no more than up or down.',
    run: async endpoint => {
      const reply = await endpoint.request('GET', new URL('/healthz', endpoint.url))
      if (reply.kind === 'none' || isBroken(reply)) return fail(`It fails: ${describeReply(reply)}.`)
      if (isAccepted(reply) && INTERNALS.test(reply.body))
        return fail('It contains addresses, paths or credentials.')
      if (isAccepted(reply) && /"(degraded|down)"/.test(reply.body)) {
        return warn(`It says that the endpoint is not healthy: ${describeReply(reply)}.`)
      }
      return pass(`${describeReply(reply)}.`)
    }
  }
]

async function judgeMetrics(endpoint: Endpoint): Promise<Finding> {
  const url = new URL('/metrics', endpoint.url)
  const [plain, forwarded] = await Promise.all([
    endpoint.request('GET', url),
    endpoint.request('GET', url, { headers: [['x-forwarded-for', UNUSED_ADDRESS]] })
  ])
  const [plainOpen, forwardedOpen] = [isMetrics(plain), isMetrics(forwarded)]
  if (!plainOpen && !forwardedOpen) return pass(`Not readable: ${describeReply(plain)}.`)
  if (endpoint.fromPrivateAddress === undefined) return skip('The address you connect from is not known.')
  if (!endpoint.fromPrivateAddress) return fail(`Anyone can read them: ${describeReply(plain)}.`)
  if (!forwardedOpen) {
    return warn(
      `Readable from ${endpoint.remoteAddress}, which is inside your network, and not if the request says it was forwarded for an outside address.`
    )
  }
  return fail(
    'Readable from inside your network, also if the request says it was forwarded for an outside address: behind a proxy anyone can read them. (Not a fault if the endpoint sees through your proxy that you are inside: run the check again from outside.)'
  )
}

const isMetrics = (reply: Reply): boolean =>
  reply.kind === 'answer' && isAccepted(reply) && METRICS_TEXT.test(reply.body)
