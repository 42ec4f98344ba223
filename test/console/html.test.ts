import t from 'tap'
import { age, duration, number, pill, table, time } from '../../src/console/components.ts'
import { html } from '../../src/console/html.ts'

const EVIL = `<script>alert("1")</script>'\``

t.test(
  'a string is escaped wherever it is put, also after an exclamation mark, and HTML is not escaped again',
  async t => {
    const escaped = '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&#96;'
    t.equal(html`<p title="${EVIL}">Hello!${EVIL}</p>`.text, `<p title="${escaped}">Hello!${escaped}</p>`)
    t.equal(html`<ul>${['a&b', html`<li>${EVIL}</li>`]}</ul>`.text, `<ul>a&amp;b<li>${escaped}</li></ul>`)
    t.equal(html`${undefined}${0}${[]}`.text, '0')
    // What a parser of JSON can make must not pass for HTML.
    const forged = JSON.parse('{"text":"<b>"}')
    t.throws(() => html`${forged}`)
  }
)

t.test('the parts of pages escape what they show', async t => {
  const column = { title: EVIL, cell: (row: string) => row, isNumber: true }
  for (const { text } of [pill('good', EVIL), table(EVIL, [column], [EVIL], html`none`)]) {
    t.notMatch(text, /<script>/)
  }
  t.equal(table('None', [column], [], html`<p>none</p>`).text, '<div class="empty"><p>none</p></div>')
})

t.test('times, numbers and lengths of time read as text', async t => {
  t.equal(time(0).text, '<time datetime="1970-01-01T00:00:00.000Z">1970-01-01 00:00:00 UTC</time>')
  t.same(
    [Number.NaN, 2 ** 64, Number.POSITIVE_INFINITY].map(ms => [time(ms).text, age(ms, 0)]),
    Array(3).fill(['–', '–'])
  )
  t.same([1234567, undefined, Number.NaN].map(number), ['1,234,567', '–', '–'])
  const lengths = [0, 999, 1000, 59_600, 200_000, 3_600_000, 90_000_000, 864_000_000]
  t.same(lengths.map(duration), ['0 ms', '999 ms', '1 s', '59 s', '3 min', '60 min', '25 h', '10 d'])
})
