import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

t.setTimeout(600_000)

/** A small project with this one's scripts and settings. */
function project(t: Test) {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  const at = (file: string): string => join(folder, file)
  mkdirSync(at('scripts'))
  for (const file of [
    ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
    ...['scripts/build.mjs', 'scripts/copy-assets.mjs']
  ]) {
    copyFileSync(file, at(file))
  }
  symlinkSync(resolve('node_modules'), at('node_modules'))
  mkdirSync(at('src/log'), { recursive: true })
  const write = (file: string, text: string): void => writeFileSync(at(file), text)
  write('src/one.ts', "export const one: string = 'one'\n")
  write('src/two.ts', "import { one } from './one.ts'\nexport const two = one + 2\n")
  write('src/log/trim.lua', 'return 1\n')
  write('src/browser.js', 'alert(1)\n')
  return {
    at,
    write,
    read: (file: string) => readFileSync(at(file), 'utf8'),
    remove: (file: string) => rmSync(at(file)),
    /** @returns whether it compiled */
    build: (...options: string[]): boolean => {
      const before = existsSync(at('dist/one.js')) ? statSync(at('dist/one.js')).mtimeMs : 0
      const { status, stdout } = spawnSync(process.execPath, ['scripts/build.mjs', 'dist', ...options], {
        cwd: folder,
        encoding: 'utf8'
      })
      if (status !== 0) throw new Error(stdout)
      return statSync(at('dist/one.js')).mtimeMs !== before
    }
  }
}

t.test('a build is repeated when what it is made of has changed, and only then', async t => {
  const { at, write, read, build } = project(t)
  t.equal(build(), true, 'the first')
  t.equal(read('dist/browser.js'), 'alert(1)\n', 'a script of browsers is copied')
  t.equal(build(), false, 'nothing has changed')

  utimesSync(at('src/one.ts'), new Date('2001-01-01'), new Date('2099-01-01'))
  t.equal(build(), false, 'a time says nothing')

  write('src/two.ts', 'export const two = 22\n')
  utimesSync(at('src/two.ts'), new Date('2001-01-01'), new Date('2001-01-01'))
  t.equal(build(), true, 'an older file, as after a switch of branches')
  t.match(read('dist/two.js'), 'two = 22')

  write('src/log/trim.lua', 'return 2\n')
  t.equal(build(), true, 'a Lua script')
  t.equal(read('dist/log/trim.lua'), 'return 2\n')

  write('package.json', `${read('package.json')}\n`)
  t.equal(build(), true, 'the package')
})

t.test('what was compiled from a file that is gone, goes too', async t => {
  const { at, remove, build } = project(t)
  build()
  remove('src/two.ts')
  remove('src/log/trim.lua')
  remove('src/browser.js')
  t.equal(build(), true)
  t.notOk(existsSync(at('dist/two.js')))
  t.notOk(existsSync(at('dist/two.js.map')))
  t.notOk(existsSync(at('dist/log/trim.lua')))
  t.notOk(existsSync(at('dist/browser.js')))
  t.ok(existsSync(at('dist/one.js')))
})

t.test('a damaged or interrupted build is repeated', async t => {
  const { write, remove, build } = project(t)
  build()
  remove('dist/two.js')
  t.equal(build(), true, 'a file is missing')
  write('dist/two.js', '')
  t.equal(build(), true, 'a file is another one')
  write('build/dist.built.json', '{')
  t.equal(build(), true, 'the record is cut off')
  remove('build/dist.built.json')
  t.equal(build(), true, 'the record is missing')
})

t.test('a start does not check types, a build for others does, and makes declarations', async t => {
  const { at, write, build } = project(t)
  write('src/one.ts', 'export const one: string = 1\n')
  t.equal(build(), true)
  t.notOk(existsSync(at('dist/one.d.ts')))
  t.throws(() => build('--types'), /src\/one\.ts.*TS2322/)
  write('src/one.ts', "export const one: string = '1'\n")
  t.equal(build('--types'), true)
  t.ok(existsSync(at('dist/one.d.ts')))
  t.equal(build(), false, 'it serves a start as well')
})
