import { pino } from 'pino'
import t from 'tap'
import { createOutageReporter } from '../../src/dispatch/outage-reporter.ts'

const MINUTE_MS = 60_000

function opened() {
  const lines: Record<string, unknown>[] = []
  const log = pino(
    { base: null, timestamp: false, formatters: { level: level => ({ level }) } },
    { write: line => void lines.push(JSON.parse(line)) }
  )
  const clock = { ms: 1_795_510_800_000 }
  return { lines, clock, reporter: createOutageReporter(log, () => clock.ms) }
}

const failed = {
  consumer: 'crm',
  eventIds: ['e1'],
  attempt: 2,
  answer: '503',
  durationMs: 12.3
}

t.test('the first failure and the recovery are logged, each once, with what an operator needs', async t => {
  const { lines, clock, reporter } = opened()
  reporter.failed(failed)
  for (let index = 0; index < 99; index++) reporter.failed(failed)
  clock.ms += 5000
  reporter.delivered('crm')
  reporter.delivered('crm')
  t.same(lines, [
    {
      level: 'warn',
      consumer: 'crm',
      id: 'e1',
      attempt: 2,
      answer: '503',
      ms: 12,
      failedAttempts: 1,
      msg: 'delivery to the consumer fails: its events are kept and retried'
    },
    {
      level: 'info',
      consumer: 'crm',
      failedForMs: 5000,
      failedAttempts: 100,
      msg: 'delivery to the consumer works again'
    }
  ])
})

t.test('a failure that lasts is repeated once per minute, with the number of attempts', async t => {
  const { lines, clock, reporter } = opened()
  for (let second = 0; second <= 120; second++) {
    reporter.failed(failed)
    clock.ms += 1000
  }
  t.same(
    lines.map(({ failedAttempts, failingForMs }) => ({ failedAttempts, failingForMs })),
    [
      { failedAttempts: 1, failingForMs: undefined },
      { failedAttempts: 60, failingForMs: MINUTE_MS },
      { failedAttempts: 60, failingForMs: 2 * MINUTE_MS }
    ]
  )
})

t.test('a consumer that fails and recovers all the time is logged twice per minute', async t => {
  const { lines, clock, reporter } = opened()
  for (let index = 0; index < 1000; index++) {
    reporter.failed(failed)
    reporter.delivered('crm')
    clock.ms += 10
  }
  t.equal(lines.length, 2)
  clock.ms += MINUTE_MS
  reporter.failed(failed)
  t.match(lines[2], { failedAttempts: 1000 })
})

t.test(
  'a 410 is one error with the command that enables the consumer, for all requests in flight',
  async t => {
    const { lines, reporter } = opened()
    for (let index = 0; index < 10; index++) reporter.disabled({ ...failed, answer: '410' })
    t.equal(lines.length, 1)
    t.match(lines[0], { level: 'error', consumer: 'crm', msg: /cio-webhook consumers enable crm$/ })
    reporter.delivered('crm')
    reporter.disabled({ ...failed, answer: '410' })
    t.equal(lines.length, 2)
  }
)
