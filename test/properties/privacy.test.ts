import fc from 'fast-check'
import t from 'tap'
import { mapLimited } from '../../src/async/map-limited.ts'
import { startServiceProcess } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { deliverTo } from '../helpers/service.ts'
import { WEBHOOK_PATH } from '../helpers/sign.ts'

/** Number of payloads; CI sets 10,000. */
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 100)
const BATCH = 100

/** A text that must not be in any output, and the value that contains it. */
interface Planted {
  readonly canary: string
  readonly value: unknown
  /** The field that makes it personal; `undefined`: it is personal in any field. */
  readonly field: string | undefined
}

const word = fc.stringMatching(/^[a-z]{3,8}$/)
const filler = fc.oneof(fc.string({ maxLength: 20 }), fc.integer(), fc.boolean(), fc.constant(null))
/** Does not occur by chance. */
const token = fc.stringMatching(/^cnry[0-9a-f]{12}$/)
const digits = (length: number) =>
  fc.stringMatching(new RegExp(`^[2-8]{${length}}$`)).filter(text => new Set(text).size > 3)

const email = fc.tuple(token, word).map(([name, host]) => `${name}@${host}.example.com`)
const phone = digits(9).map(number => `+44 ${number.slice(0, 4)} ${number.slice(4)}`)
const card = digits(14).map(body => withLuhn(`4${body}`))
const inText = (personal: fc.Arbitrary<string>): fc.Arbitrary<Planted> =>
  fc.tuple(personal, word, word).map(([canary, before, after]) => ({
    canary,
    value: `${before} <${canary}> ${after}`,
    field: undefined
  }))
const redacted = ['password', 'Credit-Card', 'ssn', 'secret', 'content', 'subject', 'headers']
const hashed = ['email', 'E_Mail', 'emailAddress', 'recipient', 'to']

const planted: fc.Arbitrary<Planted> = fc.oneof(
  inText(email),
  inText(phone),
  inText(card),
  email.map(canary => ({ canary, value: canary, field: 'customer_id' })),
  fc
    .tuple(token, fc.constantFrom(...redacted))
    .chain(([canary, field]) =>
      fc.constantFrom<unknown>(canary, { deep: [canary] }, [canary]).map(value => ({ canary, value, field }))
    ),
  fc.tuple(email, fc.constantFrom(...hashed)).map(([canary, field]) => ({ canary, value: canary, field })),
  token.map(canary => ({ canary, value: `https://example.com/p?u=${canary}#${canary}`, field: 'href' }))
)

/** Puts a value into nested objects and arrays. */
const nested = (inner: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.letrec<{ node: unknown }>(tie => ({
    node: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      inner,
      fc.tuple(word, tie('node'), word, filler).map(([a, node, b, other]) => ({ [a]: node, [b]: other })),
      fc.tuple(filler, tie('node')).map(pair => [...pair])
    )
  })).node

const payload = fc.array(planted, { minLength: 1, maxLength: 4 }).chain(plants =>
  fc
    .tuple(
      fc.tuple(
        ...plants.map(plant =>
          nested(fc.constant(plant.field === undefined ? plant.value : { [plant.field]: plant.value }))
        )
      ),
      fc.boolean(),
      fc.double({ min: 0.3, max: 1, noNaN: true })
    )
    .map(([parts, isTruncated, share]) => {
      const text = JSON.stringify({ object_type: 'email', metric: 'sent', data: parts })
      return {
        canaries: plants.map(plant => plant.canary),
        body: isTruncated ? text.slice(0, Math.floor(text.length * share)) : text
      }
    })
)

t.test('no value that the policy covers is in the streams, the log lines or the metrics', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  // A separate process, since generating payloads blocks the event loop for seconds.
  const service = await startServiceProcess({ REDIS_URL: redis.url })
  t.teardown(() => service.process.kill('SIGKILL'))
  let parked = 0
  for (let done = 0; done < RUNS; done += BATCH) {
    const batch = fc.sample(payload, BATCH)
    // Few at once: on a busy machine, the others would be answered 408.
    const answers = await mapLimited(batch, 8, ({ body }) => deliverTo(`${service.url}${WEBHOOK_PATH}`, body))
    t.same(
      answers.filter(answer => answer.status !== 200),
      [],
      'all are accepted'
    )
    parked += answers.filter(answer => answer.body['status'] === 'parked').length
    const written = await Promise.all(
      ['cio:events:{0}', 'cio:parked:{0}'].map(stream => redis.client.xrange(stream, '-', '+'))
    )
    await redis.client.del('cio:events:{0}', 'cio:parked:{0}')
    const everything = JSON.stringify(written) + JSON.stringify(answers.map(answer => answer.body))
    for (const { canaries, body } of batch) {
      for (const canary of canaries) {
        if (everything.includes(canary)) t.fail(`${canary} is in the output`, { body })
      }
    }
  }
  t.ok(parked > 0, `some were parked: ${parked}`)
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  service.process.kill('SIGTERM')
  await service.ended
  t.notMatch(metrics + service.output(), /cnry[0-9a-f]{12}/)
  t.match(service.output(), /"outcome":"parked"/, 'log lines were written')
})

function withLuhn(digits: string): string {
  const sum = [...digits].reverse().reduce((sum, digit, index) => {
    const doubled = Number(digit) * (index % 2 === 0 ? 2 : 1)
    return sum + (doubled > 9 ? doubled - 9 : doubled)
  }, 0)
  return digits + ((10 - (sum % 10)) % 10)
}
