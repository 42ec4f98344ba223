import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t from 'tap'
import { createDeadLetterReporter } from '../../src/dispatch/dead-letter-reporter.ts'
import { formatPosition } from '../../src/log/position.ts'
import { until } from '../helpers/server.ts'

function opened() {
  const lines: Record<string, unknown>[] = []
  const log = pino({ base: null, timestamp: false }, { write: line => void lines.push(JSON.parse(line)) })
  return { lines, ...createDeadLetterReporter(log) }
}

const letter = {
  consumer: 'crm',
  eventId: 'e1',
  type: 'io.customer.email.opened',
  attempts: 12,
  reason: 'status 500'
}

t.test('a dead letter is a line with the event, the attempts and the reason', async t => {
  const { lines, report, close } = opened()
  report(letter)
  close()
  t.match(lines, [
    {
      consumer: 'crm',
      id: 'e1',
      type: 'io.customer.email.opened',
      attempts: 12,
      reason: 'status 500',
      msg: 'event moved to dead letters'
    }
  ])
  t.equal(lines.length, 1)
})

t.test('thousands of dead letters at once are counted, per consumer, in one line per second', async t => {
  const { lines, report, reportMalformed, close } = opened()
  for (let index = 0; index < 5000; index++) report(letter)
  report({ ...letter, consumer: 'bus' })
  reportMalformed('bus', formatPosition(0, '1-1'))
  await until('the summary', async () => lines.length === 13)
  t.match(lines.at(-1), { consumer: 'crm', events: 4990, msg: 'further events moved to dead letters' })
  await sleep(10)
  report(letter)
  t.equal(lines.length, 14, 'the next second begins anew')
  close()
})
