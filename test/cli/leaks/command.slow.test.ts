import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { partitionKeys } from '../../../src/log/keys.ts'
import { KEY, leaks, MAIN, PASSWORD, repository, SECRETS } from '../../fixtures/leaks-command.ts'
import { startRedis } from '../../helpers/redis.ts'
import { temporaryFolder } from '../../helpers/server.ts'

t.test('a clean repository ends with 0, one with a leak with 1, and the value is not printed', async t => {
  t.match(await leaks([], { folder: repository({ 'a.txt': 'nothing' }).folder }), {
    code: 0,
    out: /^no leak in/m
  })

  const { folder, git } = repository({
    'a.txt': `first\n${KEY}\n`,
    'b.txt': Buffer.from(PASSWORD).toString('base64')
  })
  git('tag', '-a', '-m', `key ${KEY}`, KEY)
  writeFileSync(join(folder, `${KEY}.txt`), KEY)
  for (const format of ['human', 'json', 'sarif']) {
    const { code, out, err } = await leaks(['.', '--format', format], { folder })
    t.equal(code, 1, err)
    t.match(out, /a\.txt/)
    t.match(out, `${KEY.slice(0, 2)}****${KEY.slice(-2)}(64)`)
    for (const secret of [KEY, PASSWORD]) t.notOk((out + err).includes(secret), `${format} shows no secret`)
    if (format !== 'human') JSON.parse(out)
  }
})

t.test('git gets no secret, neither as argument nor in its environment', async t => {
  const { folder } = repository({ 'a.txt': KEY })
  const bin = temporaryFolder()
  const real = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
  writeFileSync(
    join(bin, 'git'),
    `#!/bin/sh\n{ printf '%s\\n' "$@"; env; } >> ${join(bin, 'seen')}\nexec ${real} "$@"\n`
  )
  chmodSync(join(bin, 'git'), 0o755)
  t.equal((await leaks([], { folder, path: `${bin}:${process.env['PATH']}` })).code, 1)
  const seen = readFileSync(join(bin, 'seen'), 'utf8')
  t.match(seen, /cat-file/)
  for (const secret of [KEY, PASSWORD]) t.notOk(seen.includes(secret))
})

t.test('no control character of a file name is printed', async t => {
  const { folder } = repository({ 'clean.txt': 'nothing' })
  const name = '\u001b]0;title\u0007\nline'
  writeFileSync(join(folder, name), KEY)
  mkdirSync(join(folder, `${name}-nested`, '.git'), { recursive: true })
  mkdirSync(join(folder, `${name}-nested`, '.git/objects'))
  mkdirSync(join(folder, `${name}-nested`, '.git/refs'))
  writeFileSync(join(folder, `${name}-nested`, '.git/HEAD'), 'ref: refs/heads/main\n')
  const { code, out, err } = await leaks([], { folder })
  t.equal(code, 1)
  t.match(out, '\\u001b]0;title\\u0007\\nline:1\n')
  t.match(err, '\\u001b]0;title\\u0007\\nline-nested/ is a repository of its own')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
  t.notMatch(out + err, /[\u0000-\u0009\u000b-\u001f]/)
})

t.test('findings before a problem are reported', async t => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'a.log'), KEY)
  const { code, out } = await leaks(['--file', 'a.log', '--file', 'b.log', '--json'], { folder })
  t.equal(code, 2)
  t.match(JSON.parse(out), { findings: [{ file: 'a.log' }], problems: [/b\.log/] })
})

t.test('a baseline is written and applied, and entries that match nothing are reported', async t => {
  const { folder, git } = repository({ 'a.txt': KEY })
  const args = ['--baseline', '.leaks-baseline.json']
  t.match(await leaks([...args, '--write-baseline'], { folder }), { code: 0 })
  t.notOk(readFileSync(join(folder, '.leaks-baseline.json'), 'utf8').includes(KEY))
  t.match(await leaks(args, { folder }), { code: 0, out: /no leak, 1 accepted by the baseline/ })
  writeFileSync(join(folder, 'b.txt'), KEY)
  t.match(await leaks(args, { folder }), { code: 1, out: /^b\.txt:1$/m })
  git('checkout', '-q', '--orphan', 'anew')
  const bare = repository({ 'clean.txt': 'nothing' }).folder
  writeFileSync(join(bare, 'baseline.json'), readFileSync(join(folder, '.leaks-baseline.json')))
  t.match(await leaks(['--baseline', 'baseline.json'], { folder: bare }), {
    code: 0,
    out: /the baseline has an entry that matches nothing/
  })
})

t.test('a baseline that is written after a part was searched keeps the entries of the rest', async t => {
  const { folder, git } = repository({ 'a.txt': KEY })
  const path = join(folder, 'baseline.json')
  const write = ['--baseline', 'baseline.json', '--write-baseline']
  const entries = () =>
    JSON.parse(readFileSync(path, 'utf8')).accepted.map((entry: { file: string; why: string }) => [
      entry.file,
      entry.why
    ])
  await leaks(write, { folder })
  writeFileSync(path, readFileSync(path, 'utf8').replace('"why": ""', '"why": "a test vector"'))
  writeFileSync(join(folder, 'b.txt'), KEY)
  git('add', 'b.txt')
  t.match(await leaks(['--staged', ...write], { folder }), { code: 0, out: /no leak, 1 accepted/ })
  t.strictSame(entries(), [
    ['a.txt', 'a test vector'],
    ['b.txt', '']
  ])
  writeFileSync(join(folder, 'c.log'), KEY)
  t.match(await leaks(['--file', 'c.log', ...write], { folder }), { code: 0 })
  t.equal(entries().length, 3)
  t.match(await leaks(['--baseline', 'baseline.json'], { folder }), { code: 0 })
})

t.test('as a pre-commit hook it stops a commit with a key, also a commit of a part of the index', async t => {
  const { folder, git } = repository({ 'a.txt': 'one', 'b.txt': 'one' })
  mkdirSync(join(folder, '.git/hooks'), { recursive: true })
  const hook = `#!/bin/sh\nCIO_WEBHOOK_SECRET=${KEY} exec ${process.execPath} ${MAIN} leaks --staged\n`
  writeFileSync(join(folder, '.git/hooks/pre-commit'), hook, { mode: 0o755 })
  const commit = (...args: readonly string[]): boolean => {
    try {
      git('commit', '-q', '-m', 'second', ...args)
      return true
    } catch {
      return false
    }
  }
  writeFileSync(join(folder, 'a.txt'), 'two')
  writeFileSync(join(folder, 'b.txt'), KEY)
  t.notOk(commit('-a'))
  t.ok(commit('a.txt'), 'b.txt is not a part of it')
  t.notOk(commit('b.txt'))
})

t.test('standard input and the event log are searched', async t => {
  const input = await leaks(['--file', '-'], { input: `one\ntwo ${KEY}\n${KEY}\n` })
  t.match(input, { code: 1, out: /^standard input:2\n.*\n {4}file, found 2 times$/m })
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const env = { ...SECRETS, REDIS_URL: redis.url }
  const { events } = partitionKeys('cio:', 0)
  await redis.client.xadd(events, '1-0', 'type', 'a', 'event', '{}')
  t.match(await leaks(['--stream'], { env }), { code: 0, out: /1 entry of cio:events:\{0\}/ })
  await redis.client.xadd(events, '2-0', 'type', 'a', 'event', JSON.stringify({ key: KEY }))
  t.match(await leaks(['--stream'], { env }), { code: 1, out: /first in entry 2-0/ })
})
