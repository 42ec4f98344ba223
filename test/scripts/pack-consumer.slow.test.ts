// What scripts/pack-consumer.mjs takes along, and what it refuses, tried on small made-up projects.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

const SCRIPT = resolve('scripts/pack-consumer.mjs')
const PROJECT = {
  'package.json': JSON.stringify({
    type: 'module',
    version: '1.2.3',
    license: 'MIT',
    exports: { './consumer': { types: './dist/room/entry.d.ts', default: './dist/room/entry.js' } },
    dependencies: { ioredis: '^6.0.0', 'secure-json-parse': '^4.1.1' }
  }),
  'tsconfig.build.json': JSON.stringify({
    extends: resolve('tsconfig.build.json'),
    compilerOptions: { rootDir: 'src', outDir: 'dist' }
  }),
  LICENSE: '',
  'src/room/README.md': ''
}

/** Packs a project of these files in `src`. */
function pack(t: Test, sources: Readonly<Record<string, string>>) {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  const inSource = Object.entries(sources).map(([path, text]) => [`src/${path}`, text] as const)
  for (const [path, text] of [...Object.entries(PROJECT), ...inSource]) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT], { cwd: folder, encoding: 'utf8' })
  const dist = join(folder, 'build', 'cio-webhook-consumer', 'dist')
  const files = status === 0 ? readdirSync(dist, { recursive: true, encoding: 'utf8' }) : []
  return { status, stdout, stderr, files: files.filter(file => file.includes('.')).sort() }
}

t.test('what the entry reaches is taken along, and nothing else', async t => {
  const { status, stderr, stdout, files } = pack(t, {
    'room/entry.ts': `
      import { readFileSync } from 'node:fs'
      import type { Redis } from 'ioredis'
      import type { Inner } from './types.ts'
      import { used } from '../other/used.ts'
      export type { Shown } from '../other/shown.ts'
      export const lua = readFileSync(new URL('script.lua', import.meta.url), 'utf8')
      export const entry = async (redis: Redis): Promise<unknown> => {
        const inner: Inner | undefined = undefined
        const { later } = await import('../other/later.ts')
        return [redis, inner, used, later]
      }`,
    // A package that only a type inside needs, is not needed by what is packed.
    'room/types.ts': "import type parse from 'secure-json-parse'\nexport type Inner = typeof parse",
    'room/script.lua': 'return 1',
    'room/other.lua': 'return 2',
    'other/used.ts': 'export const used = 1',
    'other/later.ts': 'export const later = 1',
    'other/shown.ts': 'export interface Shown { readonly shown: true }',
    'other/unused.ts': "export { parse } from 'secure-json-parse'"
  })
  t.equal(stderr, '')
  t.equal(status, 0)
  t.match(stdout, /build\/cio-webhook-consumer-1\.2\.3\.tgz\n$/)
  t.same(files, [
    'other/later.js',
    'other/shown.d.ts',
    'other/used.js',
    'room/entry.d.ts',
    'room/entry.js',
    'room/script.lua'
  ])
})

const refused: readonly (readonly [what: string, sources: Record<string, string>, message: RegExp])[] = [
  [
    'another package, two imports away',
    {
      'room/entry.ts': "export { x } from '../other/x.ts'",
      'other/x.ts': "import { parse } from 'secure-json-parse'\nexport const x = parse"
    },
    /: dist\/room\/entry\.js → dist\/other\/x\.js → secure-json-parse: .* anything but ioredis\n$/
  ],
  [
    'another package, imported late',
    { 'room/entry.ts': "export const entry = async () => void (await import('secure-json-parse'))" },
    /dist\/room\/entry\.js → secure-json-parse/
  ],
  [
    'a type of another package',
    {
      'room/entry.ts': "import type { Reviver } from 'secure-json-parse'\nexport type Entry = Reviver"
    },
    /dist\/room\/entry\.d\.ts → secure-json-parse/
  ],
  [
    'a type of Node that not every project has',
    { 'room/entry.ts': "export type { Server } from 'node:http'" },
    /dist\/room\/entry\.d\.ts → node:http/
  ],
  [
    'a file that is not there',
    { 'room/entry.ts': "export const url = new URL('gone.lua', import.meta.url)" },
    /dist\/room\/entry\.js reads gone\.lua, but there is no src\/room\/gone\.lua/
  ],
  [
    'files that cannot be told from the source',
    { 'room/entry.ts': 'export const folder = import.meta.dirname' },
    /dist\/room\/entry\.js must use import\.meta/
  ],
  [
    'code that does not compile',
    { 'room/entry.ts': "export const entry: number = 'one'" },
    /src\/room\/entry\.ts\(1,14\): error TS2322/
  ]
]
for (const [what, sources, message] of refused) {
  t.test(`an entry that needs ${what} is not packed`, async t => {
    const { status, stdout, stderr } = pack(t, sources)
    t.match(stderr, message)
    t.equal(stdout, '')
    t.equal(status, 1)
  })
}
