import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { ScanError } from '../../../src/tools/leaks/git.ts'
import { searchFile, searchPath, searchStaged } from '../../../src/tools/leaks/search.ts'
import { startSearch } from '../../fixtures/leak-search.ts'
import { initRepository } from '../../helpers/git.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const KEY = randomBytes(32).toString('hex')
const SECRETS = { CIO_WEBHOOK_SECRET: KEY }
const OPTIONS = { env: process.env, ignored: false, incomplete: false }

function write(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

function repository(files: Readonly<Record<string, string>>, folder = temporaryFolder()) {
  const git = initRepository(folder)
  write(folder, files)
  git('add', '.')
  git('commit', '-q', '-m', 'first')
  return { folder, git }
}

t.test('a folder that is not a repository is searched file by file, links are not followed', async t => {
  const folder = temporaryFolder()
  const outside = temporaryFolder()
  write(outside, { 'outside.txt': KEY })
  write(folder, { 'a/b/deep.txt': `\n${KEY}`, 'clean.txt': 'nothing' })
  symlinkSync(outside, join(folder, 'link'))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  const server = createServer().listen(join(folder, 'socket'))
  t.teardown(() => server.close())
  await once(server, 'listening')
  const search = startSearch(SECRETS)
  t.equal(await searchPath(search, folder, OPTIONS), `the files of ${folder}`)
  t.strictSame(search.lines(), ['file a/b/deep.txt:2'])
  t.strictSame(search.problems, [])
})

t.test('a file whose name is not UTF-8 is searched', async t => {
  const folder = temporaryFolder()
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe, 0x61])]), KEY)
  const search = startSearch(SECRETS)
  await searchPath(search, folder, OPTIONS)
  t.equal(search.lines().length, 1)

  execFileSync('git', ['init', '-q'], { cwd: folder })
  const again = startSearch(SECRETS)
  await searchPath(again, folder, OPTIONS)
  t.equal(again.lines().length, 1)
})

t.test('files that git ignores are searched only on demand', async t => {
  const { folder } = repository({ '.gitignore': '.env\n' })
  write(folder, { '.env': KEY })
  const search = startSearch(SECRETS)
  await searchPath(search, folder, OPTIONS)
  t.strictSame(search.lines(), [])
  await searchPath(search, folder, { ...OPTIONS, ignored: true })
  t.strictSame(search.lines(), ['file .env:1'])
})

t.test('from a subfolder, and in a hook, the repository of that folder is searched', async t => {
  const { folder } = repository({ 'src/key.ts': KEY })
  const { folder: other } = repository({ 'clean.txt': 'nothing' })
  const search = startSearch(SECRETS)
  const env = { ...process.env, GIT_DIR: join(other, '.git'), GIT_INDEX_FILE: join(other, '.git/index') }
  t.equal(
    await searchPath(search, join(folder, 'src'), { ...OPTIONS, env }),
    `the history and the working tree of ${folder}`
  )
  t.strictSame(search.lines(), ['file src/key.ts:1'])
})

t.test('the history of a bare repository is searched', async t => {
  const { folder, git } = repository({ 'key.ts': KEY })
  git('clone', '-q', '--bare', '.', 'bare.git')
  const search = startSearch(SECRETS)
  await searchPath(search, join(folder, 'bare.git'), OPTIONS)
  t.strictSame(search.lines(), ['file key.ts:1'])
})

t.test('the files of a repository without a commit are searched', async t => {
  const folder = temporaryFolder()
  execFileSync('git', ['init', '-q'], { cwd: folder })
  write(folder, { 'key.ts': KEY })
  const search = startSearch(SECRETS)
  await searchPath(search, folder, OPTIONS)
  t.strictSame(search.lines(), ['file key.ts:1'])
})

t.test('a shallow clone is a problem unless it is accepted', async t => {
  const { folder, git } = repository({ 'a.txt': 'one' })
  write(folder, { 'a.txt': 'two' })
  git('commit', '-q', '-am', 'second')
  git('clone', '-q', '--depth', '1', `file://${folder}`, 'shallow')
  const search = startSearch(SECRETS)
  await searchPath(search, join(folder, 'shallow'), OPTIONS)
  t.match(search.problems, [/shallow.*--unshallow/])
  const allowed = startSearch(SECRETS)
  await searchPath(allowed, join(folder, 'shallow'), { ...OPTIONS, incomplete: true })
  t.strictSame(allowed.problems, [])
})

t.test('a partial clone is a problem', async t => {
  const { folder, git } = repository({ 'a.txt': 'one' })
  git('config', 'uploadpack.allowFilter', 'true')
  git('clone', '-q', '--filter=blob:none', `file://${folder}`, 'partial')
  const search = startSearch(SECRETS)
  await searchPath(search, join(folder, 'partial'), OPTIONS)
  t.match(search.problems, [/partial/])
})

t.test('an object that git cannot read or find ends the search', async t => {
  for (const damage of ['broken', 'missing', 'no repository'] as const) {
    const { folder, git } = repository({ 'a.txt': `some text ${randomBytes(20).toString('hex')}` })
    const oid = git('rev-parse', 'HEAD:a.txt').trim()
    const path = join(folder, '.git/objects', oid.slice(0, 2), oid.slice(2))
    if (damage === 'broken') {
      chmodSync(path, 0o644)
      writeFileSync(path, 'broken')
    } else rmSync(damage === 'missing' ? path : join(folder, '.git/HEAD'))
    await t.rejects(searchPath(startSearch(SECRETS), folder, OPTIONS), ScanError, damage)
  }
})

t.test('no setting of a repository starts a program', async t => {
  const { folder, git } = repository({ 'a.txt': 'one' })
  git('config', 'core.fsmonitor', `touch ${folder}/started; false`)
  git('config', 'diff.external', `touch ${folder}/started`)
  const search = startSearch(SECRETS)
  await searchPath(search, folder, OPTIONS)
  t.notOk(execFileSync('ls', [folder], { encoding: 'utf8' }).includes('started'))
})

t.test('a nested repository is reported as left out', async t => {
  const { folder } = repository({ 'a.txt': 'one' })
  mkdirSync(join(folder, 'inner'))
  repository({ 'b.txt': KEY }, join(folder, 'inner'))
  const search = startSearch(SECRETS)
  await searchPath(search, folder, OPTIONS)
  t.match(search.notes, [/inner.*a repository of its own/])
})

t.test('only staged content is searched: not the working tree, not the history', async t => {
  const { folder, git } = repository({ 'old.txt': KEY, 'gone.txt': 'soon' })
  write(folder, { 'new file.txt': `\n\n${KEY}`, 'unstaged.txt': KEY })
  git('add', 'new file.txt')
  git('rm', '-q', 'gone.txt')
  write(folder, { 'new file.txt': 'thought better of it' })
  const search = startSearch(SECRETS)
  await searchStaged(search, folder, process.env)
  t.strictSame(search.lines(), ['staged file new file.txt:3'])
})

t.test('the first commit of a repository can be searched while it is staged', async t => {
  const folder = temporaryFolder()
  execFileSync('git', ['init', '-q'], { cwd: folder })
  write(folder, { 'key.txt': KEY })
  execFileSync('git', ['add', '.'], { cwd: folder })
  const search = startSearch(SECRETS)
  await searchStaged(search, folder, process.env)
  t.strictSame(search.lines(), ['staged file key.txt:1'])
})

t.test('--staged outside of a repository, and a missing file, are errors', async t => {
  const folder = temporaryFolder()
  await t.rejects(searchStaged(startSearch(SECRETS), folder, process.env), ScanError)
  await t.rejects(searchFile(startSearch(SECRETS), join(folder, 'missing')), ScanError)
  await t.rejects(searchFile(startSearch(SECRETS), folder), ScanError)
  await t.rejects(searchPath(startSearch(SECRETS), join(folder, 'missing'), OPTIONS), ScanError)
})

t.test('a value in several lines of a log is one finding', async t => {
  const folder = temporaryFolder()
  write(folder, { 'app.log': `start\n${`key=${KEY}\n`.repeat(3)}end\n` })
  const search = startSearch(SECRETS)
  await searchFile(search, join(folder, 'app.log'))
  t.match(search.found(), [{ file: join(folder, 'app.log'), line: 2, times: 3 }])
})
