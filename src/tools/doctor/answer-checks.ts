// Tested by test/tools/doctor/faults.slow.test.ts.
import { type Check, fail, pass, skip, warn } from './check.ts'
import { type Endpoint, type Exchange, SENDER_TIMEOUT_MS } from './endpoint.ts'
import { describeReply, isRedirect } from './expectations.ts'

const SLOW_MS = 2000

/** Marks of a stack trace in Node, Python, Java, Go, PHP, Ruby and .NET. */
const TRACES: readonly RegExp[] = [
  /\bat (async )?[\w.<>$ [\]]*\(?(file:\/\/)?[\w./\\:@-]+:\d+:\d+\)?/,
  /Traceback \(most recent call last\)/,
  /\bat [\w.$]+\([\w]+\.(java|kt|scala):\d+\)/,
  /goroutine \d+ \[/,
  /Stack trace:|on line <?b?>?\d+/,
  /\.rb:\d+:in [`']/,
  /\bat [\w.<>]+\(.*\) in .*:line \d+/,
  /node_modules\//
]

/** Headers that name the software. With a version they also reveal its known vulnerabilities. */
const BANNERS = ['server', 'x-powered-by', 'x-aspnet-version', 'x-runtime', 'x-generator'] as const

const shared = {
  area: 'answers',
  requests: 0,
  needs: 'anyone',
  sends: 'nothing: all answers so far are examined'
} as const

const NO_KEY = 'Cannot be checked without the key.'

export const answerChecks: readonly Check[] = [
  {
    ...shared,
    id: 'answer-time',
    title: 'Every answer is in time',
    expects: `less than ${SENDER_TIMEOUT_MS / 1000} s`,
    why: 'Customer.io gives up after 4 s and counts the delivery as failed, whatever the endpoint does with it afterwards.',
    remedy: 'Answer as soon as the event is stored, and process it afterwards, from a queue.',
    run: async ({ exchanges }) => {
      const timed = exchanges.filter(
        ({ timed, method, reply }) => timed && method === 'POST' && reply.kind === 'answer'
      )
      const slowest = timed.toSorted((a, b) => b.reply.durationMs - a.reply.durationMs)[0]
      if (slowest === undefined) return skip('There was no answer.')
      const ms = Math.round(slowest.reply.durationMs)
      const observed = `The slowest of ${timed.length} took ${ms} ms (${slowest.check}).`
      if (ms >= SENDER_TIMEOUT_MS) return fail(observed)
      return ms >= SLOW_MS ? warn(observed) : pass(observed)
    }
  },
  {
    ...shared,
    id: 'redirect',
    title: 'No delivery is redirected',
    expects: 'no 3xx',
    why: 'Customer.io does not document whether it follows redirects, and a redirected POST often becomes a GET without a body. A delivery that is not answered 2xx is held back and tried again.',
    remedy:
      'Give Customer.io the address at the end of the redirects (https, the right host, with or without the slash), or remove the redirect.',
    run: async ({ exchanges }) => {
      const redirect = exchanges.find(({ method, reply }) => method === 'POST' && isRedirect(reply))
      if (redirect === undefined) return pass('None is.')
      const { reply } = redirect
      const location =
        reply.kind === 'answer' ? reply.headers.find(([name]) => name === 'location')?.[1] : undefined
      return fail(`${describeReply(reply)}, to ${withoutQuery(location)}.`)
    }
  },
  {
    ...shared,
    id: 'key-in-answer',
    title: 'No answer contains the signing key',
    expects: 'no key, plain or encoded, in any answer',
    why: 'With the key, anyone can sign deliveries as Customer.io.',
    remedy: 'Create a new key in Customer.io now, and remove the key from error messages.',
    run: async endpoint => {
      const forms = keyForms(endpoint.key)
      if (forms.length === 0) return skip(NO_KEY)
      return noneOf(endpoint, exchange => forms.some(form => textOf(exchange).includes(form)))
    }
  },
  {
    ...shared,
    id: 'signature-in-answer',
    title: 'No answer reveals the right signature',
    expects: 'no answer contains the signature that the endpoint computed',
    why: 'An attacker who gets the right signature of a forged delivery sends it again with that signature, and it is accepted.',
    remedy:
      'Answer 401 with a fixed text; write expected and received signatures nowhere, not even to the log.',
    run: async endpoint => {
      if (endpoint.key === undefined) return skip(NO_KEY)
      return noneOf(endpoint, exchange =>
        exchange.unsentSignatures.some(signature => textOf(exchange).includes(signature))
      )
    }
  },
  {
    ...shared,
    id: 'stack-trace',
    title: 'No answer contains a stack trace',
    expects: 'no stack trace in any answer',
    why: 'Stack traces reveal files, libraries and versions, and sometimes values.',
    remedy: 'Turn development mode off (NODE_ENV=production), and answer errors with a fixed text.',
    run: async endpoint => noneOf(endpoint, exchange => TRACES.some(trace => trace.test(textOf(exchange))))
  },
  {
    ...shared,
    id: 'banner',
    title: 'No answer discloses the version of its software (reported only)',
    expects: 'no x-powered-by, no version in server',
    why: 'A version shows an attacker which known vulnerabilities to try.',
    remedy: 'nginx: server_tokens off; Express: app.disable("x-powered-by").',
    run: async ({ exchanges }) => {
      const banners = new Set(exchanges.flatMap(bannersOf))
      return banners.size === 0 ? pass('None does.') : warn(`Answers say ${[...banners].join(', ')}.`)
    }
  }
]

function noneOf({ exchanges }: Endpoint, isFault: (exchange: Exchange) => boolean) {
  const found = exchanges.find(isFault)
  return found === undefined
    ? pass(`None of ${exchanges.length} does.`)
    : fail(`The answer to ${found.check} does.`)
}

/** `server` without a version is left alone; the other headers have no other use. */
function bannersOf({ reply }: Exchange): readonly string[] {
  if (reply.kind === 'none') return []
  return reply.headers
    .filter(
      ([name, value]) => BANNERS.some(banner => banner === name) && (name !== 'server' || /\d/.test(value))
    )
    .map(([name, value]) => `${name}: ${value.slice(0, 60)}`)
}

function textOf({ reply }: Exchange): string {
  return reply.kind === 'none'
    ? ''
    : `${reply.headers.map(pair => pair.join(': ')).join('\n')}\n\n${reply.body}`
}

function keyForms(key: string | undefined): readonly string[] {
  if (key === undefined) return []
  const bytes = Buffer.from(key)
  return [
    key,
    encodeURIComponent(key),
    bytes.toString('base64url'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex')
  ]
}

/** Of a redirect's target, without the query, which may contain anything. */
function withoutQuery(location: string | undefined): string {
  if (location === undefined) return 'an unknown address'
  return location.split(/[?#]/, 1)[0]?.slice(0, 200) ?? ''
}
