import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../../src/errors.ts'
import { formatBaseline, readBaseline, triageFindings } from '../../../src/tools/leaks/baseline.ts'
import type { Finding } from '../../../src/tools/leaks/finding.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const path = join(temporaryFolder(), 'baseline.json')
const finding = (changed: Partial<Finding> = {}): Finding => ({
  rule: 'customerio-site-id',
  certainty: 'likely',
  secret: undefined,
  encoding: 'plain',
  masked: '12****ef(20)',
  fingerprint: '0123456789abcdef',
  place: 'file',
  file: 'web/page.html',
  line: 7,
  commit: undefined,
  inWorkingTree: true,
  entry: undefined,
  times: 1,
  ...changed
})
const written = (text: string) => {
  writeFileSync(path, text)
  return readBaseline(path)
}

t.test('a finding in the baseline is accepted, also on another line', async t => {
  const baseline = written(formatBaseline([finding()], []))
  t.match(triageFindings([finding({ line: 99, times: 3 })], baseline), {
    fresh: [],
    accepted: [{ line: 99 }],
    stale: []
  })
})

t.test('another value, another file or another rule is new, and the entry is stale', async t => {
  const baseline = written(formatBaseline([finding()], []))
  for (const changed of [
    { fingerprint: 'fedcba9876543210' },
    { file: 'other.html' },
    { rule: 'configured-value' as const }
  ]) {
    const { fresh, accepted, stale } = triageFindings([finding(changed)], baseline)
    t.match([fresh.length, accepted.length, stale.length], [1, 0, 1], JSON.stringify(changed))
  }
})

t.test('the reason of an entry is kept when the baseline is written again', async t => {
  const why = 'the page is public'
  const previous = written(formatBaseline([finding()], [])).map(entry => ({ ...entry, why }))
  const again = written(formatBaseline([finding(), finding({ file: 'b.html' })], previous))
  t.strictSame(
    again.map(entry => [entry.file, entry.why]),
    [
      ['b.html', ''],
      ['web/page.html', why]
    ]
  )
})

t.test('an invalid baseline is refused', async t => {
  for (const text of [
    '',
    '[]',
    '{"version":2,"accepted":[]}',
    '{"version":1,"accepted":[{"fingerprint":"*"}]}'
  ]) {
    t.throws(() => written(text), ConfigError, text)
  }
  t.throws(() => readBaseline(`${path}.missing`), ConfigError)
})
