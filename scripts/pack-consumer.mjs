// Packs the consumer library as a separate npm package, from the same sources.
// Usage: node scripts/pack-consumer.mjs [folder]     writes <folder>/cio-webhook-consumer-<version>.tgz (default: build)
//
// The package contains only the files that its entry imports, directly or not. Packing fails if one of them needs a
// package other than ioredis.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import ts from 'typescript'

const NAME = 'cio-webhook-consumer'
/** Independent of the service, which may need a newer Node. */
const ENGINES = { node: '^20.20 || >=22' }
const DEPENDENCY = 'ioredis'
/** Traces are continued where the user's program has it. Declarations must not need it. */
const OPTIONAL = '@opentelemetry/api'

const main = JSON.parse(readFileSync('package.json', 'utf8'))
/** The entry is that of the export in the main package. The README of the new package is beside the entry's source. */
const entry = main.exports['./consumer']
const entrySource = join('src', relative('dist', entry.default)).replace(/\.js$/, '.ts')

const target = resolve(process.argv[2] ?? 'build')
const folder = join(target, NAME)
rmSync(folder, { recursive: true, force: true })
for (const [path, text] of reachedFrom([entry.default, entry.types], compile())) put(path, text)
put('package.json', `${JSON.stringify(manifest(), null, 2)}\n`)
cpSync('LICENSE', join(folder, 'LICENSE'))
cpSync(join(dirname(entrySource), 'README.md'), join(folder, 'README.md'))
const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', target, folder])
console.log(join(target, packed.toString().trim()))

/** @returns by path inside the package: the text of each JavaScript and declaration file */
function compile() {
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: problem => fail(describe([problem])) }
  const changed = { outDir: join(folder, 'dist'), sourceMap: false }
  const { options } = ts.getParsedCommandLineOfConfigFile('tsconfig.build.json', changed, host)
  const program = ts.createProgram([entrySource], options)
  const files = new Map()
  const { diagnostics } = program.emit(undefined, (path, text) => files.set(relative(folder, path), text))
  const problems = [...ts.getPreEmitDiagnostics(program), ...diagnostics]
  if (problems.length > 0) fail(describe(problems))
  return files
}

/** @returns path and text of every file that `entries` import, and of the files that these read */
function reachedFrom(entries, compiled) {
  const reached = new Map()
  const open = entries.map(path => ({ path: join(path), chain: [join(path)] }))
  for (const { path, chain } of open) {
    if (reached.has(path)) continue
    const text = compiled.get(path)
    if (text === undefined) fail(`${chain.join(' → ')}: imported, but not compiled`)
    const isDeclaration = path.endsWith('.d.ts')
    const { importedFiles, typeReferenceDirectives } = ts.preProcessFile(text)
    const names = [...importedFiles, ...typeReferenceDirectives].map(({ fileName }) => fileName)
    for (const name of names) {
      if (name.startsWith('.')) {
        const next = join(dirname(path), isDeclaration ? asDeclaration(name) : name)
        open.push({ path: next, chain: [...chain, next] })
      } else if (name !== DEPENDENCY && (isDeclaration || !(name === OPTIONAL || name.startsWith('node:')))) {
        fail(`${[...chain, name].join(' → ')}: the package must not depend on anything but ${DEPENDENCY}`)
      }
    }
    reached.set(path, isDeclaration ? withJsNames(text, names) : text)
    if (!isDeclaration) for (const asset of assetsOf(path, text)) reached.set(...asset)
  }
  return reached
}

function asDeclaration(name) {
  return name.replace(/\.[jt]s$/, '.d.ts')
}

/** The compiler keeps imports of `./file.ts` in declarations, but the package only has the .js and .d.ts files. */
function withJsNames(text, names) {
  const own = names.filter(name => /^\..*\.ts$/.test(name))
  return own.reduce(
    (changed, name) => changed.replaceAll(`'${name}'`, `'${name.replace(/ts$/, 'js')}'`),
    text
  )
}

/** @returns path and text of the files that a module reads, with the scripts that a Lua script includes */
function assetsOf(path, text) {
  const urls = [...text.matchAll(/new URL\((['"])(.+?)\1, import\.meta\.url\)/g)]
  if (urls.length < text.split('import.meta').length - 1) {
    fail(
      `${path} must use import.meta only as \`new URL('file', import.meta.url)\`: packing finds files that way`
    )
  }
  return urls.flatMap(([, , name]) => assetAt(path, name))
}

function assetAt(path, name) {
  const asset = join(dirname(path), name)
  const source = join('src', relative('dist', asset))
  if (!existsSync(source)) fail(`${path} reads ${name}, but there is no ${source}`)
  const text = readFileSync(source, 'utf8')
  const included = asset.endsWith('.lua') ? [...text.matchAll(/^-- @include (\S+)$/gm)] : []
  return [[asset, text], ...included.flatMap(([, next]) => assetAt(asset, next))]
}

function manifest() {
  const { version, license, repository, bugs, homepage, dependencies } = main
  return {
    name: NAME,
    version,
    description: 'Reads the events that cio-webhook stores in Redis, as a member of a consumer group.',
    license,
    repository,
    bugs,
    homepage,
    type: 'module',
    engines: ENGINES,
    exports: { '.': entry, './package.json': './package.json' },
    files: ['dist'],
    dependencies: { [DEPENDENCY]: dependencies[DEPENDENCY] },
    // Any 1.x: its global state is shared between versions.
    peerDependencies: { [OPTIONAL]: '^1.3.0' },
    peerDependenciesMeta: { [OPTIONAL]: { optional: true } }
  }
}

function put(path, text) {
  mkdirSync(join(folder, dirname(path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

function describe(diagnostics) {
  const host = {
    getCanonicalFileName: name => name,
    getCurrentDirectory: () => process.cwd(),
    getNewLine: () => '\n'
  }
  return ts.formatDiagnostics(diagnostics, host)
}

function fail(message) {
  console.error(`pack:consumer: ${message}`)
  process.exit(1)
}
