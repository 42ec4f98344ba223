import type { Test } from 'tap'
import { stringifyExactly, withExactNumbers } from '../../src/exact-json.ts'
import { basic, customerio, pipelines } from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'

const MIB = 2 ** 20
const sanitizers = [
  compileSanitizer(customerio),
  compileSanitizer(basic, { hashKey: 'k' }),
  compileSanitizer(pipelines)
]

/** As many repetitions as fit into so many bytes. */
export const fill = (
  bytes: number,
  unit: (index: number) => string,
  before: string,
  after: string
): string => {
  const parts: string[] = []
  for (let size = before.length + after.length, index = 0; size < bytes; index++) {
    const part = unit(index)
    parts.push(part)
    size += part.length + 1
  }
  return `${before}${parts.join(',')}${after}`
}

const bodies: readonly (readonly [name: string, of: (bytes: number) => string, kept: RegExp])[] = [
  [
    'empty strings in a hashed field',
    n => fill(n, () => '""', '{"id":1,"email":[', '],"z":2}'),
    /^\{"id":1,"email_hash":.*"z":2}$/
  ],
  ['digits in a hashed field', n => fill(n, i => `${i % 10}`, '{"email":[[', ']],"z":2}'), /"z":2}$/],
  [
    'many hashed fields',
    n => fill(n, () => '{"email":0}', '{"list":[', '],"z":{"email":"a@b.example"}}'),
    /"z":\{"email_hash":"\w{64}"}}$/
  ],
  ['many redacted fields', n => fill(n, () => '{"ssn":0}', '{"list":[', '],"z":2}'), /"z":2}$/],
  [
    'spellings of a redacted field',
    n => fill(n, i => `"${spelling('ssn', i)}":0`, '{"a":{', '},"z":2}'),
    /"z":2}$/
  ],
  ['masks in text', n => fill(n, () => '"a@b.cd"', '{"list":[', '],"z":2}'), /"z":2}$/],
  ['masks in keys', n => fill(n, i => `"a@b.c${i}":0`, '{"list":{', '},"z":2}'), /"z":2}$/],
  [
    'lists too deep',
    n => fill(n, () => '[]', `{"a":${'['.repeat(500)}`, `${']'.repeat(500)},"z":2}`),
    /"z":2}$/
  ],
  [
    'control characters and halves of pairs',
    n => fill(n, () => '"\\u0000\\ud800"', '{"list":[', '],"z":2}'),
    /^\{"list":\["\\u0000\\ud800",.*"z":2}$/
  ]
]

/** The name in its `index`-th spelling. */
function spelling(name: string, index: number): string {
  return [...index.toString(2)].map(bit => (bit === '1' ? '-' : '_')).join('') + name
}

/** Tests that bodies of these sizes (bytes) grow no further than allowed, with every kind of content that grows. */
export function testGrowth(t: Test, sizes: readonly number[]): void {
  for (const [name, of, kept] of bodies) {
    t.test(
      `${name}: the event is at most four times its body and 8 MiB, and the other fields are kept`,
      async t => {
        for (const bytes of sizes) {
          const body = of(bytes)
          const json = withExactNumbers(JSON.parse(body), body)
          for (const { value } of bytes > MIB ? sanitizers.slice(0, 1) : sanitizers) {
            const once = value(json, { bodyBytes: body.length })
            const written = stringifyExactly(once)
            const most = Math.min(8 * MIB, Math.max(64 * 1024, 4 * body.length))
            if (Buffer.byteLength(written) > most) t.fail(`${bytes} became ${written.length}`)
            if (!kept.test(written)) t.fail(`${written.slice(0, 100)} … ${written.slice(-100)}`)
            if (stringifyExactly(value(once)) !== written) t.fail('not idempotent')
          }
        }
        t.pass()
      }
    )
  }
}
