import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

const SCRIPT = resolve('scripts/spread-version.mjs')
/** Mention a version that is not the one of this release. */
const OTHERS = [/^CHANGELOG\.md$/, /package-lock\.json$/, /^(test|bench)\//]

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
const ANYWHERE = new RegExp(`(?<![\\w.])${version.replaceAll('.', '\\.')}(?![\\w.]*\\d)`)

/** The files of the repository that hold its version. */
const naming = spawnSync('git', ['ls-files', '-z'], { encoding: 'utf8' })
  .stdout.split('\0')
  .filter(path => path !== '' && !OTHERS.some(other => other.test(path)))
  .filter(path => ANYWHERE.test(readFileSync(path, 'utf8')))

/** A folder with a copy of those files. */
function copy(t: Test): { readonly folder: string; readonly run: (...args: readonly string[]) => string[] } {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const path of naming) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    cpSync(path, join(folder, path))
  }
  const run = (...args: readonly string[]): string[] => {
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
      cwd: folder,
      encoding: 'utf8'
    })
    return [String(status), ...stderr.trim().split('\n')].filter(line => line !== '')
  }
  return { folder, run }
}

t.test('every file that names the version names the one of package.json', async t => {
  t.ok(naming.length > 5, naming.join(', '))
  t.same(copy(t).run('--check'), ['0'])
})

t.test(
  'a new version in package.json is written to every file, and a file without it is reported',
  async t => {
    const { folder, run } = copy(t)
    const manifest = join(folder, 'package.json')
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(`"${version}"`, '"9.8.7-rc.1"'))
    t.match(run('--check'), [
      '1',
      `Dockerfile: ${version} instead of 9.8.7-rc.1; run node scripts/spread-version.mjs`
    ])
    t.same(run(), ['0'])
    t.same(run('--check'), ['0'])
    t.same(
      naming.filter(path => ANYWHERE.test(readFileSync(join(folder, path), 'utf8'))),
      [],
      'the old version is nowhere'
    )

    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n')
    t.same(run('--check'), [
      '1',
      'Dockerfile: no version after /^ARG VERSION=/m; correct the table in scripts/spread-version.mjs'
    ])
  }
)
