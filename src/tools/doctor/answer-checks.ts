import { type Check, note, unjudged, well, wrong } from './check.ts'
import { type Endpoint, type Heard, SENDER_TIMEOUT_MS } from './endpoint.ts'
import { isRedirect, tell } from './expectations.ts'

const UNEASY_MS = 2000

/** Marks of a trace in Node, Python, Java, Go, PHP, Ruby and .NET. */
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

/** Headers that name the software; a version in one of them names its known holes too. */
const BANNERS = ['server', 'x-powered-by', 'x-aspnet-version', 'x-runtime', 'x-generator'] as const

const shared = { area: 'answers', requests: 0, needs: 'anyone' } as const
const NOTHING = 'nothing: it looks at all answers so far'

export const answerChecks: readonly Check[] = [
  {
    ...shared,
    id: 'answer-time',
    title: 'Every answer is in time',
    sends: NOTHING,
    expects: `less than ${SENDER_TIMEOUT_MS / 1000} s`,
    why: 'Customer.io hangs up after 4 s and counts the delivery as failed, whatever the receiver does with it afterwards.',
    mend: 'Answer as soon as the event is stored, and do the work after that, from a queue.',
    run: async ({ heard }) => {
      const timed = heard.filter(
        ({ timed, method, reply }) => timed && method === 'POST' && reply.kind === 'answer'
      )
      const slowest = timed.toSorted((a, b) => b.reply.durationMs - a.reply.durationMs)[0]
      if (slowest === undefined) return unjudged('There was no answer.')
      const ms = Math.round(slowest.reply.durationMs)
      const saw = `The slowest of ${timed.length} took ${ms} ms (${slowest.check}).`
      if (ms >= SENDER_TIMEOUT_MS) return wrong(saw)
      return ms >= UNEASY_MS ? note(saw) : well(saw)
    }
  },
  {
    ...shared,
    id: 'redirect',
    title: 'No delivery is sent elsewhere',
    sends: NOTHING,
    expects: 'no 3xx',
    why: 'Whether Customer.io follows redirects is not documented, and a POST that is followed often becomes a GET without a body. What is not answered 2xx is held back and tried again.',
    mend: 'Give Customer.io the address at the end of the redirects (https, the right host, with or without the slash), or take the redirect away.',
    run: async ({ heard }) => {
      const elsewhere = heard.find(({ method, reply }) => method === 'POST' && isRedirect(reply))
      if (elsewhere === undefined) return well('None is.')
      const { reply } = elsewhere
      const to =
        reply.kind === 'answer' ? reply.headers.find(([name]) => name === 'location')?.[1] : undefined
      return wrong(`${tell(reply)}, to ${originAndPath(to)}.`)
    }
  },
  {
    ...shared,
    id: 'key-in-answer',
    title: 'No answer names the signing key',
    sends: NOTHING,
    expects: 'no key, as it is or encoded, in any answer',
    why: 'Whoever has the key is Customer.io.',
    mend: 'Make a new key in Customer.io now, and take the key out of error messages.',
    run: async endpoint => {
      const forms = keyForms(endpoint.key)
      if (forms.length === 0) return unjudged('Without the key nobody can look for it.')
      const found = endpoint.heard.find(heard => forms.some(form => textOf(heard).includes(form)))
      return found === undefined ? well(seen(endpoint)) : wrong(`The answer to ${found.check} holds it.`)
    }
  },
  {
    ...shared,
    id: 'signature-in-answer',
    title: 'No answer gives away the right signature',
    sends: NOTHING,
    expects: 'no answer holds the signature the receiver computed',
    why: 'Whoever is told the right signature of what he sent sends it again with that signature, and is believed.',
    mend: 'Answer 401 with a fixed text; tell expected and received signatures to nobody, not even the log.',
    run: async endpoint => {
      if (endpoint.key === undefined) return unjudged('Without the key nobody can look for it.')
      const found = endpoint.heard.find(heard => heard.untoldMacs.some(mac => textOf(heard).includes(mac)))
      return found === undefined ? well(seen(endpoint)) : wrong(`The answer to ${found.check} holds it.`)
    }
  },
  {
    ...shared,
    id: 'stack-trace',
    title: 'No answer holds a stack trace',
    sends: NOTHING,
    expects: 'no trace in any answer',
    why: 'Traces tell an outsider files, libraries and versions, and now and then values.',
    mend: 'Turn development mode off (NODE_ENV=production), and answer errors with a fixed text.',
    run: async endpoint => {
      const found = endpoint.heard.find(heard => TRACES.some(trace => trace.test(textOf(heard))))
      return found === undefined ? well(seen(endpoint)) : wrong(`The answer to ${found.check} holds one.`)
    }
  },
  {
    ...shared,
    id: 'banner',
    title: 'No answer boasts of its software (reported only)',
    sends: NOTHING,
    expects: 'no x-powered-by, no version in server',
    why: 'A version tells which known holes to try.',
    mend: 'nginx: server_tokens off; Express: app.disable("x-powered-by").',
    run: async ({ heard }) => {
      const banners = new Set(heard.flatMap(bannersOf))
      return banners.size === 0 ? well('None does.') : note(`Answers say ${[...banners].join(', ')}.`)
    }
  }
]

const seen = ({ heard }: Endpoint): string => `None of ${heard.length} does.`

/** A header that names a product without a version is left alone, unless its only use is to boast. */
function bannersOf({ reply }: Heard): readonly string[] {
  if (reply.kind === 'none') return []
  return reply.headers
    .filter(
      ([name, value]) => BANNERS.some(banner => banner === name) && (name !== 'server' || /\d/.test(value))
    )
    .map(([name, value]) => `${name}: ${value.slice(0, 60)}`)
}

function textOf({ reply }: Heard): string {
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

/** Where a redirect leads, less its query, which may hold anything. */
function originAndPath(location: string | undefined): string {
  if (location === undefined) return 'nowhere'
  return location.split(/[?#]/, 1)[0]?.slice(0, 200) ?? ''
}
