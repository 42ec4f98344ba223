import t from 'tap'
import { readEventsOptions } from '../../../src/cli/events/options.ts'

const NOW_MS = Date.UTC(2026, 10, 24, 12)

t.test('filters combine, and times are read as dates or as durations', async t => {
  const args =
    '--customer 42 --email - --type email.* --type io.customer.push.opened --id a --id b --from 1h --to 2026-11-24T11:30:00Z'
  t.same(readEventsOptions(args.split(' '), NOW_MS), {
    action: { name: 'list' },
    customer: '42',
    email: '-',
    types: ['email.*', 'io.customer.push.opened'],
    ids: ['a', 'b'],
    fromMs: NOW_MS - 3_600_000,
    toMs: NOW_MS - 1_800_000,
    count: 10,
    follow: false,
    json: false
  })
})

for (const [args, message] of [
  ['x', /^unknown action "x"; the actions are 'show' and 'replay'$/],
  ['show', /^show: give exactly one ID$/],
  ['show a b', /^show: give exactly one ID$/],
  ['show a --count 1', /^show takes an ID and --json, and no other option$/],
  ['show a --follow', /^show takes an ID and --json, and no other option$/],
  ['replay', /^replay: give exactly one CONSUMER$/],
  ['replay crm', /^replay: --from is missing; only with --id alone it is not needed$/],
  ['replay crm --id a --type email.*', /^replay: --from is missing/],
  ['replay crm --from 1h --follow', /^--follow cannot be used with replay$/],
  ['--from 1h --to 2h', /^--from 1h is later than --to 2h$/],
  ['--from yesterday', /^--from must be a time/],
  ['--type a/b', /^--type: .*matches no event/],
  ['--count 0', /^--count 0: give/]
] as const) {
  t.test(`events ${args}: is refused`, async t => {
    t.throws(() => readEventsOptions(args.split(' '), NOW_MS), { name: 'UsageError', message })
  })
}
