import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { textMask } from '../../src/sanitize/mask-text.ts'
import { cleanUrl } from '../../src/sanitize/url.ts'
import { anyText } from '../helpers/any-text.ts'

const TOKEN = '3f9cA7d1e0b24a5f9d3f9cA7d1e0'
const UUID = '8e03978e-40d5-43e8-bc93-6894a57f9324'
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r'

const cleaned: [url: string, clean: string][] = [
  ['https://example.com/p?u=x#y', 'https://example.com/p'],
  ['https://example.com/p#y?u=x', 'https://example.com/p'],
  ['https://ada:s3cret@example.org/x', 'https://example.org/x'],
  ['https://ada%3As3cret%40example.org@example.org/x', 'https://example.org/x'],
  ['//ada@x.example/a?b', '//x.example/a'],
  ['https:/ada:s3cret@x.example/a?b', 'https:/x.example/a'],
  ['HTTPS:ada:s3cret@x.example', 'HTTPS:x.example'],
  ['/orders/42?token=abc', '/orders/42'],
  ['orders/42?token=abc', 'orders/42'],
  ['?token=abc', ''],
  [`https://app.example/auth/reset/${TOKEN}?x=1`, 'https://app.example/auth/reset/[REDACTED]'],
  [`/auth/reset/${TOKEN}/done`, '/auth/reset/[REDACTED]/done'],
  [`reset/${TOKEN}`, 'reset/[REDACTED]'],
  [`myapp:${TOKEN}`, 'myapp:[REDACTED]'],
  [`https://app.example/a/${JWT}/b`, 'https://app.example/a/[REDACTED]/b'],
  [`https://app.example/a;jsessionid=${TOKEN}`, 'https://app.example/[REDACTED]'],
  [
    `https%3A%2F%2Fada%3Apw%40x.example%2Fa%2F${TOKEN}%3Ftoken%3Dabc`,
    'https%3A%2F%2Fx.example%2Fa%2F[REDACTED]'
  ],
  ['https:\\/\\/ada:pw@x.example\\/p?q', 'https:\\/\\/x.example\\/p'],
  ['https://a.example/https://ada:pw@b.example/c', 'https://a.example/https://b.example/c'],
  [`https://a.example/orders/${UUID}`, `https://a.example/orders/${UUID}`],
  [`https://a.example/verify-email/${UUID}`, 'https://a.example/verify-email/[REDACTED]'],
  ['https://a.example/verify/839201', 'https://a.example/verify/[REDACTED]'],
  ['https://a.example/password/reset/done', 'https://a.example/password/reset/done'],
  [`https://cdn.example/static/app-${TOKEN}.js`, `https://cdn.example/static/app-${TOKEN}.js`],
  [`https://a.example/export/${TOKEN}.csv`, 'https://a.example/export/[REDACTED]'],
  [
    'https://a.example/black-shoes-size-42-summer-sale-2026',
    'https://a.example/black-shoes-size-42-summer-sale-2026'
  ],
  [
    'https://a.example/wiki/ListOfLongDocumentTitlesForAll',
    'https://a.example/wiki/ListOfLongDocumentTitlesForAll'
  ],
  ['https://a.example/orders/12345678901234567890123', 'https://a.example/orders/12345678901234567890123'],
  ['ssh://git@github.com/org/repository', 'ssh://git@github.com/org/repository'],
  ['not a url', 'not a url'],
  ['', '']
]

for (const [url, clean] of cleaned) {
  t.test(`${JSON.stringify(url)} is cleaned to ${JSON.stringify(clean)}`, async t => {
    t.equal(cleanUrl(url), clean)
    t.equal(cleanUrl(clean), clean)
  })
}

const numRuns = Number(process.env['PROPERTY_RUNS'] ?? 500)
const pick = fc.constantFrom
const bytes = fc
  .uint8Array({ minLength: 16, maxLength: 48 })
  .map(values => Buffer.from(createHash('sha512').update(values).digest().subarray(0, values.length)))
const token = fc
  .tuple(bytes, pick<BufferEncoding>('hex', 'base64url'), fc.boolean())
  .map(([value, encoding, upper]) =>
    upper && encoding === 'hex' ? value.toString('hex').toUpperCase() : value.toString(encoding)
  )
const jwt = fc
  .tuple(fc.jsonValue(), fc.jsonValue(), bytes)
  .map(([head, body, signature]) =>
    [JSON.stringify({ alg: head }), JSON.stringify({ sub: body }), signature]
      .map(part => Buffer.from(part).toString('base64url'))
      .join('.')
  )
const word = pick(
  'black',
  'shoes',
  'size',
  'Summer',
  'sale',
  'the',
  'of',
  'internationalisation',
  'orders',
  'API',
  'v2',
  '2026',
  '42',
  'e27'
)
const slug = fc
  .array(word, { minLength: 1, maxLength: 9 })
  .map(words => words.join('-'))
  .filter(text => !/^(?:v2|e27|-)+$/.test(text))
const ulid = fc
  .array(pick(...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'), { minLength: 25, maxLength: 25 })
  .map(list => `0${list.join('')}`)
const id = fc.oneof(
  fc.uuid(),
  ulid,
  fc.nat().map(String),
  slug,
  slug.map(name => `${name}.html`),
  token.map(hash => `main.${hash}.js`)
)
const root = pick('https://x.example', '//x.example', '', 'https://x.example/a/b', 'app://host/de-DE')

t.test('a random token after a segment that announces one is removed, in any encoding and place', async t => {
  const mask = textMask(['url'])
  const announced = pick('reset', 'verify-email', 'passwordReset', 'unsubscribe/42', 'magic_link/en')
  fc.assert(
    fc.property(root, announced, fc.oneof(token, jwt), slug, (root, before, token, after) => {
      const url = `${root}/${before}/${token}/${after}`
      const encoded = encodeURIComponent(url)
      const inText = url.includes('://') ? [mask(`see ${url}.`), mask(`u=${encoded}`)] : []
      const left = [cleanUrl(url), cleanUrl(encoded), ...inText]
      if (left.some(text => text.includes(token))) throw new Error(`${url}\n${left.join('\n')}`)
    }),
    { numRuns }
  )
  t.pass()
})

t.test(
  'of random tokens anywhere in a path, fewer than one in a hundred look like words and stay',
  async t => {
    let left = 0
    for (const text of fc.sample(fc.oneof(token, jwt), { numRuns: 5000, seed: 1 })) {
      if (cleanUrl(`https://x.example/a/${text}/b`).includes(text)) left++
    }
    t.ok(left < 50, `${left} of 5000`)
  }
)

t.test('ids, slugs, numbers and the files of a page stay', async t => {
  fc.assert(
    fc.property(root, fc.array(id, { maxLength: 4 }), (root, ids) => {
      const url = [root, ...ids].join('/')
      if (cleanUrl(url) !== url) throw new Error(`${url}\n${cleanUrl(url)}`)
    }),
    { numRuns }
  )
  t.pass()
})

t.test('any text at all: no throw, no query, and a second pass changes nothing', async t => {
  const piece = pick(
    'https:',
    '//',
    '/',
    '@',
    'ada:pw',
    'x.example',
    '?',
    '#',
    '%3F',
    '%23',
    '%2F',
    '%40',
    ':',
    TOKEN,
    UUID,
    'reset',
    '839201',
    '\\/',
    '&quest;',
    ' ',
    '.',
    'é'
  )
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map(parts => parts.join('')),
    anyText()
  )
  fc.assert(
    fc.property(text, text => {
      const once = cleanUrl(text)
      if (cleanUrl(once) !== once || /[?#]/.test(once))
        throw new Error(`${JSON.stringify(text)}\n${JSON.stringify(once)}`)
    }),
    { numRuns }
  )
  t.pass()
})
