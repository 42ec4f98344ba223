import { PassThrough } from 'node:stream'
import t from 'tap'
import { createProgressBar } from '../../src/cli/progress-bar.ts'

function terminal(isTTY: boolean, columns: number) {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, columns })
  return { stream, written: (): string => String(stream.read() ?? '') }
}

t.test('on a terminal the bar says how far which step is, and goes without a trace', async t => {
  const { stream, written } = terminal(true, 80)
  let nowMs = 0
  const bar = createProgressBar(stream, () => nowMs)
  bar.show('history', 0.5)
  t.equal(written(), `\r\u001b[2K${'█'.repeat(15)}${'░'.repeat(15)}  50 % history`)
  nowMs = 99
  bar.show('history', 0.6)
  t.equal(written(), '', 'not more often than an eye can follow')
  nowMs = 100
  bar.show('history', 0.7)
  t.match(written(), '70 % history')
  bar.clear()
  t.equal(written(), '\r\u001b[2K')
  bar.clear()
  t.equal(written(), '')
})

t.test('the bar never takes more than a line, also where the width is not known', async t => {
  for (const [columns, length] of [
    [40, 39],
    [0, 79]
  ] as const) {
    const { stream, written } = terminal(true, columns)
    createProgressBar(stream).show('x'.repeat(200), 2)
    t.equal(written().replace('\r\u001b[2K', '').length, length)
  }
})

t.test('elsewhere nothing is written', async t => {
  const { stream, written } = terminal(false, 80)
  const bar = createProgressBar(stream)
  bar.show('history', 0.5)
  bar.clear()
  t.equal(written(), '')
})
