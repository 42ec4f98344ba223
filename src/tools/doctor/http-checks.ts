import { type Check, type Finding, note, unjudged, well, wrong } from './check.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import { isAccepted, isBroken, statusOf, tell } from './expectations.ts'

const STRANGER = '203.0.113.9'
const OTHER_METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const
const LOOKS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** What Prometheus text begins its families with. */
const METRICS_TEXT = /^# (HELP|TYPE) /m
/** What a health page should not tell the world. */
const INTERNALS =
  /rediss?:\/\/|postgres(ql)?:\/\/|amqps?:\/\/|\bpassword\b|node_modules|\/home\/|\/app\/|\b(10|192\.168|172\.(1[6-9]|2\d|3[01]))\.\d+\.\d+/i

const shared = { area: 'http', needs: 'anyone' } as const

export const httpChecks: readonly Check[] = [
  {
    ...shared,
    id: 'methods',
    title: 'Only POST is taken',
    sends: `one request without a body for each of ${OTHER_METHODS.join(', ')}`,
    requests: OTHER_METHODS.length,
    expects: '405 or 404',
    why: 'A 2xx to PUT or DELETE says that something was done for a request nobody has verified; a 500 says that nobody thought of it.',
    mend: 'Answer 405 to everything but POST.',
    run: async endpoint => {
      const taken: string[] = []
      const looked: string[] = []
      const replies = await Promise.all(
        OTHER_METHODS.map(async method => ({ method, reply: await endpoint.request(method, endpoint.url) }))
      )
      for (const { method, reply } of replies) {
        const said = `${method}: ${tell(reply)}`
        const broken = isBroken(reply) && statusOf(reply) !== 501
        if (broken || (isAccepted(reply) && !LOOKS.has(method))) taken.push(said)
        else if (isAccepted(reply)) looked.push(said)
      }
      if (taken.length > 0) return wrong(`${taken.join(', ')}.`)
      if (looked.length > 0) return note(`${looked.join(', ')}: harmless where it is only a page.`)
      return well(`None of the other ${OTHER_METHODS.length} is.`)
    }
  },
  {
    ...shared,
    id: 'metrics',
    title: 'Metrics are not open to the world',
    sends: 'GET /metrics, without and with a header that says the request was forwarded for somebody outside',
    requests: 2,
    expects: '403 or 404; from inside your network 200 without the header',
    why: 'Metrics tell an outsider how many events you have, when you are down, and how his attempts fare.',
    mend: 'Let only your monitoring read /metrics (METRICS_ALLOWED_IPS, METRICS_PORT), or leave the path out in the proxy.',
    run: judgeMetrics
  },
  {
    ...shared,
    id: 'healthz',
    title: 'The health page says only what anybody may know',
    sends: 'GET /healthz',
    requests: 1,
    expects: '200 or 404, without addresses, paths or credentials',
    why: 'A load balancer that sees it fail answers in your place: its 502 costs Customer.io an hour, your own 503 would not.',
    mend: 'Keep /healthz at 200 while the process can answer, and let it say no more than up or down.',
    run: async endpoint => {
      const reply = await endpoint.request('GET', new URL('/healthz', endpoint.url))
      if (reply.kind === 'none' || isBroken(reply)) return wrong(`It fails: ${tell(reply)}.`)
      if (isAccepted(reply) && INTERNALS.test(reply.body))
        return wrong('It names addresses, paths or credentials.')
      if (isAccepted(reply) && /"(degraded|down)"/.test(reply.body)) {
        return note(`It says that the receiver is not well: ${tell(reply)}.`)
      }
      return well(`${tell(reply)}.`)
    }
  }
]

async function judgeMetrics(endpoint: Endpoint): Promise<Finding> {
  const url = new URL('/metrics', endpoint.url)
  const [plain, forwarded] = await Promise.all([
    endpoint.request('GET', url),
    endpoint.request('GET', url, [['x-forwarded-for', STRANGER]])
  ])
  const [plainOpen, forwardedOpen] = [isMetrics(plain), isMetrics(forwarded)]
  if (!plainOpen && !forwardedOpen) return well(`Not to be seen: ${tell(plain)}.`)
  if (endpoint.fromInside === undefined) return unjudged(`Where you come from can not be told.`)
  if (!endpoint.fromInside) return wrong(`Anybody can read them: ${tell(plain)}.`)
  if (!forwardedOpen) {
    return note(
      `Readable from ${endpoint.remoteAddress}, which is inside your network, and not when the request says it was forwarded for somebody outside.`
    )
  }
  return wrong(
    `Readable from inside your network, also when the request says it was forwarded for somebody outside: behind a proxy everybody can read them. (No fault where the receiver sees through your proxy that you come from inside: ask again from outside.)`
  )
}

const isMetrics = (reply: Reply): boolean =>
  reply.kind === 'answer' && isAccepted(reply) && METRICS_TEXT.test(reply.body)
