import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Secret } from '../../../src/secret.ts'
import { createDetector, type Detector, redactKnown } from '../../../src/tools/leaks/detector.ts'
import { createStreamScanner, type LeakOnLine } from '../../../src/tools/leaks/stream-scanner.ts'
import { hex } from '../../fixtures/example-keys.ts'

const KEY = hex('key', 64)
const PASSWORD = 'p/4"s+w???? &=%Zk9ü!'
const detector = createDetector([
  { name: 'KEY', secret: new Secret(KEY) },
  { name: 'PASSWORD', secret: new Secret(PASSWORD) }
])

function scan(pieces: readonly Buffer[], by: Detector = detector): LeakOnLine[] {
  const leaks: LeakOnLine[] = []
  const text = createStreamScanner(by, found => leaks.push(found))
  for (const piece of pieces) text.push(piece)
  text.end()
  return leaks
}

const names = (text: string | Buffer): string[] =>
  scan([Buffer.from(text)]).map(({ line, leak }) => `${line} ${leak.secret ?? leak.rule} ${leak.encoding}`)

t.test('a configured value is found in base64 whatever bytes surround it', async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 20 }),
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(KEY, PASSWORD),
      fc.constantFrom('base64' as const, 'base64url' as const),
      (before, after, value, encoding) => {
        const text = Buffer.concat([before, Buffer.from(value), after]).toString(encoding)
        const leaks = scan([Buffer.from(text)])
        assert.ok(
          leaks.some(({ leak }) => leak.secret === (value === KEY ? 'KEY' : 'PASSWORD')),
          text
        )
      }
    ),
    { numRuns: 500 }
  )
})

t.test('a configured value is found in every form, once, with its line', async t => {
  const url = encodeURIComponent(PASSWORD)
  const forms: readonly (readonly [string, string | Buffer, string])[] = [
    ['plain', `\n\n${KEY}\n`, '3 KEY plain'],
    ['with Windows line ends', `\r\n\r\n${KEY}\r\n`, '3 KEY plain'],
    ['in upper case, since hexadecimal', KEY.toUpperCase(), '1 KEY plain'],
    ['URL-encoded', `?k=${url}`, '1 PASSWORD url'],
    ['URL-encoded in lower case', `?k=${url.replace(/%../g, one => one.toLowerCase())}`, '1 PASSWORD url'],
    [
      'URL-encoded as a form',
      `k=${new URLSearchParams({ k: PASSWORD }).toString().slice(2)}`,
      '1 PASSWORD url'
    ],
    ['JSON', JSON.stringify([PASSWORD]), '1 PASSWORD json'],
    ['JSON with escaped slashes', JSON.stringify([PASSWORD]).replaceAll('/', '\\/'), '1 PASSWORD json'],
    ['hexadecimal', Buffer.from(PASSWORD).toString('hex'), '1 PASSWORD hex'],
    ['UTF-16', Buffer.from(`\ufeff${KEY}`, 'utf16le'), '1 KEY utf16'],
    ['UTF-16, the other byte first', Buffer.from(`\ufeff${KEY}`, 'utf16le').swap16(), '1 KEY utf16']
  ]
  for (const [form, text, expected] of forms) t.strictSame(names(text), [expected], form)
})

t.test('findings and lines do not depend on how a text is cut into pieces', async t => {
  // About 2 MiB, with leaks that lie over the ends of regions, and lines without end.
  const filler = 'x'.repeat(131_000)
  const parts = [
    KEY,
    filler,
    `\nCIO_API_KEY=${hex('other', 20)}\n`,
    filler.repeat(4),
    KEY,
    '\n',
    filler.repeat(4)
  ]
  const text = Buffer.from([...parts, ...parts, `\n${KEY}`].join(''))
  const expected = scan([text]).map(({ line, leak }) => `${line} ${leak.fingerprint}`)
  t.equal(expected.length, 7)
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 40 }), sizes => {
      const pieces: Buffer[] = []
      for (let at = 0, index = 0; at < text.length; index++) {
        const size = sizes[index % sizes.length] ?? text.length
        // No piece so small that a long text becomes thousands of them.
        pieces.push(text.subarray(at, at + Math.max(size, 5000)))
        at += Math.max(size, 5000)
      }
      assert.deepEqual(
        scan(pieces).map(({ line, leak }) => `${line} ${leak.fingerprint}`),
        expected
      )
    }),
    { numRuns: 30 }
  )
})

t.test('a leak where a long text is divided is found once, with its name and its line', async t => {
  const other = hex('other', 20)
  for (const [line, expected] of [
    [`${KEY}\n`, 'KEY'],
    [`CIO_API_KEY=${other}\n`, 'customerio-track-api-key'],
    // Its heading is far before it.
    [`customerio:\n  x: ${'y'.repeat(700)}\n  api_key: ${other}\n`, 'customerio-track-api-key']
  ] as const) {
    const text = Buffer.from(line.repeat(Math.ceil(1_300_000 / line.length)))
    const pieces: Buffer[] = []
    for (let at = 0; at < text.length; at += 65_536) pieces.push(text.subarray(at, at + 65_536))
    const linesEach = line.split('\n').length - 1
    const found = scan(pieces)
    t.equal(found.length, text.length / line.length)
    t.equal(
      found.findIndex(
        ({ line, leak }, index) => line !== (index + 1) * linesEach || (leak.secret ?? leak.rule) !== expected
      ),
      -1
    )
  }
})

t.test('a common word as a password is found only as a word of its own', async t => {
  const weak = createDetector([{ name: 'WEAK', secret: new Secret('password') }])
  const lines = (text: string): number[] => scan([Buffer.from(text)], weak).map(({ line }) => line)
  t.strictSame(lines('passwords\nthe password: "password"\nmypassword\n'), [2, 2])
})

t.test('no field of a leak contains the value, and a short value shows no character', async t => {
  const short = createDetector([{ name: 'SHORT', secret: new Secret('hunter2hunter') }])
  const reported = JSON.stringify([
    scan([Buffer.from(`${KEY} ${PASSWORD}`)]),
    scan([Buffer.from('=hunter2hunter;')], short)
  ])
  t.notMatch(reported, KEY)
  t.notMatch(reported, PASSWORD)
  t.notMatch(reported, 'hunter')
  t.match(reported, /\*\*\*\*\(13\)/)
  t.match(reported, `${KEY.slice(0, 2)}****${KEY.slice(-2)}(64)`)
})

t.test('redactKnown masks the secrets in a text', async t => {
  const shown = redactKnown(detector, `names/ünï ${KEY}/${KEY}.txt`)
  const masked = `${KEY.slice(0, 2)}****${KEY.slice(-2)}(64)`
  t.equal(shown, `names/ünï ${masked}/${masked}.txt`)
  t.equal(redactKnown(detector, 'nothing in it'), 'nothing in it')
})

t.test('a configured value with the name of a key is one leak: the certain one', async t => {
  t.strictSame(names(`CIO_WEBHOOK_SECRET=${KEY}`), ['1 KEY plain'])
})
