import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import draft04 from 'ajv-draft-04'
import formats from 'ajv-formats'
import t from 'tap'
import type { Finding } from '../../../src/tools/leaks/finding.ts'
import { rules } from '../../../src/tools/leaks/rules.ts'
import { toSarif } from '../../../src/tools/leaks/sarif.ts'

const schemaPath = createRequire(import.meta.url).resolve(
  '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json'
)
const ajv = new draft04.default({
  strict: false,
  allErrors: true,
  // One of the schema's patterns has a bracket too many, which only the older syntax lets pass.
  unicodeRegExp: false
})
formats.default(ajv)
const validate = ajv.compile(JSON.parse(readFileSync(schemaPath, 'utf8')))

const finding = (changed: Partial<Finding> = {}): Finding => ({
  rule: 'configured-value',
  certainty: 'certain',
  secret: 'CIO_WEBHOOK_SECRET',
  encoding: 'base64',
  masked: '12****ef(64)',
  fingerprint: '0123456789abcdef',
  place: 'file',
  file: 'src/a.ts',
  line: 7,
  commit: { oid: 'a'.repeat(40), date: '2026-01-02T03:04:05+00:00' },
  inWorkingTree: true,
  entry: undefined,
  times: 1,
  ...changed
})

t.test('a report with any kind of finding fits the schema of SARIF 2.1.0', async t => {
  const findings = [
    finding(),
    ...(Object.keys(rules) as (keyof typeof rules)[]).map(rule => finding({ rule, secret: undefined })),
    finding({ place: 'commit message', file: 'commit message', line: 0 }),
    finding({ file: 'names/with space, ünï & 100%\nnewline#.txt', commit: undefined, certainty: 'possible' })
  ]
  for (const [fresh, accepted, problems] of [
    [[], [], []],
    [findings, [], []],
    [[], findings, ['a.txt: can not be read']]
  ] as const) {
    const report = JSON.parse(JSON.stringify(toSarif(fresh, accepted, '1.2.3', problems)))
    validate(report)
    t.strictSame(validate.errors, null)
  }
})

t.test('the schema refuses an invalid report', async t => {
  t.notOk(validate({ version: '2.1.0', runs: [{ results: [] }] }))
})

t.test('an accepted finding is suppressed, a file is a URI, and problems mark the run as failed', async t => {
  t.match(toSarif([finding({ file: 'a b/#1.ts' })], [finding()], '1.2.3', ['why']), {
    runs: [
      {
        invocations: [
          { executionSuccessful: false, toolExecutionNotifications: [{ message: { text: 'why' } }] }
        ],
        results: [
          {
            ruleId: 'configured-value',
            level: 'error',
            locations: [
              { physicalLocation: { artifactLocation: { uri: 'a%20b/%231.ts' }, region: { startLine: 7 } } }
            ]
          },
          { suppressions: [{ kind: 'external', status: 'accepted' }] }
        ]
      }
    ]
  })
})
