import t from 'tap'
import { leaksCommand } from '../../../src/cli/leaks/command.ts'
import { leaks, repository, SECRETS } from '../../fixtures/leaks-command.ts'
import { freePort, temporaryFolder } from '../../helpers/server.ts'

t.test('an invalid command line is refused with a message that says what to type', async t => {
  const table: readonly (readonly [readonly string[], RegExp])[] = [
    [['--fast'], /fast/],
    [['--format', 'xml'], /human, json, or sarif/],
    [['--json', '--format', 'sarif'], /--json/],
    [['a', 'b'], /only one PATH/],
    [['--staged', '--file', 'a.txt'], /--staged/],
    [['--staged', '--stream'], /--staged/],
    [['--write-baseline'], /--baseline FILE/]
  ]
  for (const [args, message] of table) {
    await t.rejects(leaksCommand.run(args, {}), { name: 'UsageError', message }, args.join(' '))
  }
})

t.test('a search that cannot be completed ends with 2, never with 0', async t => {
  const { folder } = repository({ 'a.txt': 'nothing' })
  t.match(await leaks(['--fast'], { folder }), { code: 2, err: /--fast/ })
  t.match(await leaks(['missing'], { folder }), {
    code: 2,
    out: /^nothing scanned\nnot everything could be searched:\n {2}missing: can't be read \(ENOENT\)$/m
  })
  t.match(await leaks(['--baseline', 'none.json'], { folder }), { code: 2, err: /none\.json/ })
  t.match(await leaks(['--staged'], { folder: temporaryFolder() }), { code: 2, out: /not a git repository/ })
  t.match(await leaks([], { folder, path: '/nowhere' }), { code: 2, out: /git is not installed/ })
  const missing = { CIO_WEBHOOK_SECRET_FILE: '/nowhere/key' }
  t.match(await leaks([], { folder, env: missing }), { code: 2, err: /CIO_WEBHOOK_SECRET_FILE/ })
})

t.test('an event log that cannot be read ends with 2', async t => {
  const env = { ...SECRETS, REDIS_URL: `redis://127.0.0.1:${await freePort()}` }
  t.match(await leaks(['--stream'], { env }), { code: 2, out: /event log can't be read/ }, 'no Redis there')
  t.match(await leaks(['--stream']), { code: 2, err: /REDIS_URL is missing/ }, 'none configured')
})
