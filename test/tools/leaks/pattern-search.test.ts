import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { compilePatterns } from '../../../src/tools/leaks/pattern-search.ts'

const pattern = (text: string, options: { wraps?: boolean; isWord?: boolean } = {}) => ({
  bytes: Buffer.from(text),
  wraps: options.wraps ?? false,
  isWord: options.isWord ?? false,
  tag: text
})

function found(patterns: readonly ReturnType<typeof pattern>[], text: string): string[] {
  const search = compilePatterns(patterns)
  const buffer = Buffer.from(text)
  const matches = new Set<string>()
  search.find(buffer, 0, buffer.length, ({ start, end, tag }) => matches.add(`${start}-${end} ${tag}`))
  return [...matches].sort()
}

t.test('any patterns are found in any text where indexOf finds them', async () => {
  // Few different characters, so that patterns overlap, repeat and nearly match.
  const word = (minLength: number, maxLength: number) =>
    fc.array(fc.constantFrom('a', 'b', 'c'), { minLength, maxLength }).map(characters => characters.join(''))
  fc.assert(
    fc.property(fc.array(word(2, 12), { minLength: 1, maxLength: 8 }), word(0, 200), (words, text) => {
      const expected = new Set<string>()
      for (const one of words) {
        for (let at = text.indexOf(one); at !== -1; at = text.indexOf(one, at + 1)) {
          expected.add(`${at}-${at + one.length} ${one}`)
        }
      }
      assert.deepEqual(
        found(
          words.map(one => pattern(one)),
          text
        ),
        [...expected].sort()
      )
    }),
    { numRuns: 500 }
  )
})

const LONG = 'MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIz'

t.test('a wrapped value is found with any position and kind of its line breaks', async t => {
  const missed: string[] = []
  const breaks = ['\n', '\r\n', '\n    ', '\r\n\t', '=\r\n', '\\n', '\\r\\n']
  for (const width of [64, 76]) {
    for (let first = 1; first <= width; first++) {
      for (const lineBreak of breaks) {
        const head = LONG.slice(0, first)
        const rest = LONG.slice(first).match(new RegExp(`.{1,${width}}`, 'g')) ?? []
        const text = `??${[head, ...rest].join(lineBreak)}??`
        if (found([pattern(LONG, { wraps: true })], text).length !== 1) {
          missed.push(`${first} of ${width} ${JSON.stringify(lineBreak)}`)
        }
      }
    }
  }
  t.strictSame(missed, [])
  t.strictSame(
    found([pattern(LONG)], `${LONG.slice(0, 30)}\n${LONG.slice(30)}`),
    [],
    'unless it does not wrap'
  )
})

t.test('a short word is found by itself, not inside another word', async t => {
  const words = [pattern('password', { isWord: true })]
  t.strictSame(found(words, 'password'), ['0-8 password'])
  t.strictSame(found(words, 'my_password="password"'), ['13-21 password', '3-11 password'])
  t.strictSame(found(words, 'passwords mypassword 9password'), [])
})

t.test('a match is reported for the region in which it starts, even if it ends after it', async t => {
  const search = compilePatterns([pattern('needle')])
  const buffer = Buffer.from('..needle..needle..')
  const starts: number[] = []
  for (const [from, limit] of [
    [0, 3],
    [3, 10],
    [10, 18]
  ] as const) {
    search.find(buffer, from, limit, ({ start }) => starts.push(start))
  }
  t.strictSame(starts, [2, 10])
})

t.test('without patterns nothing is found', async t => {
  t.strictSame(found([], 'some text'), [])
})
