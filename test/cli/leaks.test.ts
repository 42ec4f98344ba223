import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { leaksCommand } from '../../src/cli/leaks.ts'
import { partitionKeys } from '../../src/log/keys.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder } from '../helpers/server.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const KEY = randomBytes(32).toString('hex')
const PASSWORD = `pass word&${randomBytes(6).toString('hex')}`
const SECRETS = { CIO_WEBHOOK_SECRET: KEY, PII_HASH_KEY: PASSWORD }

async function leaks(
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly folder?: string
    readonly input?: string
    readonly path?: string
  } = {}
) {
  const { env = SECRETS, folder = temporaryFolder(), input = '', path = process.env['PATH'] ?? '' } = options
  const child = spawn(process.execPath, [MAIN, 'leaks', ...args], {
    cwd: folder,
    env: { PATH: path, HOME: folder, ...env }
  })
  let out = ''
  let err = ''
  child.stdout.on('data', piece => {
    out += piece
  })
  child.stderr.on('data', piece => {
    err += piece
  })
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { code, out, err }
}

function repository(files: Readonly<Record<string, string>>) {
  const folder = temporaryFolder()
  const git = (...args: readonly string[]): string =>
    execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args], {
      cwd: folder,
      encoding: 'utf8'
    })
  git('init', '-q', '-b', 'main')
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  git('add', '.')
  git('commit', '-q', '-m', 'first')
  return { folder, git }
}

t.test(
  'a clean repository ends with 0, one with a leak with 1, and the value is nowhere to be seen',
  async t => {
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
  }
)

t.test('the secrets reach no process: neither arguments nor environment of git hold them', async t => {
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

t.test('what can not be meant is refused with a word on what to type', async t => {
  const table: readonly (readonly [readonly string[], RegExp])[] = [
    [['--fast'], /fast/],
    [['--format', 'xml'], /human, json, or sarif/],
    [['--json', '--format', 'sarif'], /--json/],
    [['a', 'b'], /one PATH/],
    [['--staged', '--file', 'a.txt'], /--staged/],
    [['--staged', '--stream'], /--staged/],
    [['--write-baseline'], /--baseline FILE/]
  ]
  for (const [args, message] of table) {
    await t.rejects(leaksCommand.run(args), { name: 'UsageError', message }, args.join(' '))
  }
})

t.test('what can not be looked through ends with 2, never with 0', async t => {
  const { folder } = repository({ 'a.txt': 'nothing' })
  t.match(await leaks(['--fast'], { folder }), { code: 2, err: /--fast/ })
  t.match(await leaks(['missing'], { folder }), { code: 2, out: /missing: can't be read \(ENOENT\)/ })
  t.match(await leaks(['--baseline', 'none.json'], { folder }), { code: 2, err: /none\.json/ })
  t.match(await leaks(['--staged'], { folder: temporaryFolder() }), { code: 2, out: /not a git repository/ })
  t.match(await leaks([], { folder, path: '/nowhere' }), { code: 2, out: /git is not installed/ })
  const missing = { CIO_WEBHOOK_SECRET_FILE: '/nowhere/key' }
  t.match(await leaks([], { folder, env: missing }), { code: 2, err: /CIO_WEBHOOK_SECRET_FILE/ })
})

t.test('an event log that can not be read ends with 2', async t => {
  const env = { ...SECRETS, REDIS_URL: `redis://127.0.0.1:${await freePort()}` }
  t.match(await leaks(['--stream'], { env }), { code: 2, out: /event log can't be read/ }, 'no Redis there')
  t.match(await leaks(['--stream']), { code: 2, err: /REDIS_URL is missing/ }, 'none configured')
})

t.test('what was found before a problem is still told', async t => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'a.log'), KEY)
  const { code, out } = await leaks(['--file', 'a.log', '--file', 'b.log', '--json'], { folder })
  t.equal(code, 2)
  t.match(JSON.parse(out), { findings: [{ file: 'a.log' }], problems: [/b\.log/] })
})

t.test('a baseline is written, accepted, and told of when it says more than is true', async t => {
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
    out: /accepts what is not there/
  })
})

t.test('as a pre-commit hook it keeps a key from being committed, also with a part of the index', async t => {
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

t.test('standard input and the event log are looked through as they come', async t => {
  t.match(await leaks(['--file', '-'], { input: `one\ntwo ${KEY}\n` }), {
    code: 1,
    out: /^standard input:2$/m
  })
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const env = { ...SECRETS, REDIS_URL: redis.url }
  const { events } = partitionKeys('cio:', 0)
  await redis.client.xadd(events, '1-0', 'type', 'a', 'event', '{}')
  t.match(await leaks(['--stream'], { env }), { code: 0, out: /1 entry of cio:events:\{0\}/ })
  await redis.client.xadd(events, '2-0', 'type', 'a', 'event', JSON.stringify({ key: KEY }))
  t.match(await leaks(['--stream'], { env }), { code: 1, out: /first in entry 2-0/ })
})
