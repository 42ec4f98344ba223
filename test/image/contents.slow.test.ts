import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'
import { BUILD_TIMEOUT_MS, buildImage, command, docker, freshClone, inspect, occurrences } from './docker.ts'
import { INSTALLED, MISSING_TARGETS } from './installed.ts'

t.setTimeout(BUILD_TIMEOUT_MS + 120_000)

const IMAGE = `cio-webhook-proof:contents-${process.pid}`
const BASE = 'node:24-bookworm-slim'
/** Stands for whatever lies about in a working copy and must stay there. */
const CANARY = 'canary-that-must-not-be-shipped'

const folder = temporaryFolder()
const clone = join(folder, 'clone')
t.teardown(async () => {
  await docker('rmi', '--force', IMAGE).catch(() => {})
  rmSync(folder, { recursive: true })
})

t.before(async () => {
  await freshClone(clone)
  for (const path of [
    '.env',
    '.npmrc',
    'secrets/webhook_secret',
    'data/webhook_secret',
    'node_modules/fastify/fastify.js'
  ]) {
    mkdirSync(dirname(join(clone, path)), { recursive: true })
    writeFileSync(join(clone, path), `# ${CANARY}\n`, { flag: 'a' })
  }
  const startedMs = performance.now()
  await buildImage(IMAGE, clone)
  t.comment(`built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
})

t.test('the image says how it is run, stopped and asked', async t => {
  const { Config, Size } = await inspect(IMAGE)
  t.equal(Config.User, 'node')
  t.same(Config.Entrypoint, ['cio-webhook'])
  t.same(Config.Cmd, ['serve'])
  t.equal(Config.StopSignal, 'SIGTERM')
  t.ok(Config.Env.includes('NODE_ENV=production'))
  t.same(Object.keys(Config.ExposedPorts), ['3000/tcp', '3100/tcp'])

  const { version, license } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.equal(Config.Labels['org.opencontainers.image.version'], version)
  t.equal(Config.Labels['org.opencontainers.image.licenses'], license)
  t.equal(Config.Labels['org.opencontainers.image.base.name'], `docker.io/library/${BASE}`)
  t.equal(Config.Labels['org.opencontainers.image.base.digest'], 'unknown')

  const base = (await inspect(BASE)).Size
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
  t.comment(`${mib(Size)} MiB, of which the base image ${mib(base)} and ours ${mib(Size - base)}`)
  // The clients of AWS, NATS, RabbitMQ and BullMQ, the log-ins to Google and Azure, and OpenTelemetry are most of it.
  t.ok(Size - base < 30 * 2 ** 20, 'ours is less than 30 MiB')
})

t.test('the image holds the production dependencies and the compiled service, and nothing else', async t => {
  const files = (await runInside("find /app -type f -printf '%P\\n'")).split('\n')
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    readonly packages: Record<string, { readonly dev?: boolean; readonly optional?: boolean }>
  }
  const shipped = (path: string): boolean => files.includes(`${path}/package.json`)
  const locked = Object.entries(packages).filter(([path]) => path !== '')
  t.same(
    locked.filter(([path, { dev }]) => dev === true && shipped(path)),
    [],
    'no dev dependency'
  )
  t.same(
    locked.filter(([path, { dev, optional }]) => !dev && !optional && !shipped(path)),
    [],
    'every other one'
  )
  t.same(
    files.filter(file => /\.(map|[cm]?ts|tsbuildinfo|test\.js)$|^dist\/test\//.test(file)),
    [],
    'no source, type, map or test'
  )
  t.same(
    files.filter(file => !/^(node_modules|dist)\//.test(file)),
    ['package.json'],
    'and beside them only what Node reads'
  )
})

t.test(
  'every file that Node would choose from a package is there: only what is never loaded is left out',
  async t => {
    t.same(JSON.parse(await runInside(`node --input-type=module --eval "$0"`, MISSING_TARGETS)), [])
  }
)

t.test('the SBOM lists what is in the image: npm packages, Debian packages and Node', async t => {
  const [node = '', cpu = ''] = (
    await runInside('node -p "process.versions.node + process.arch.padStart(9)"')
  ).split(/ +/)
  const debian = await docker(
    ...['run', '--rm', '--network', 'none', '--entrypoint', 'dpkg-query', IMAGE],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query expands it
    ...['-W', '-f', '${Package}\\t${Version}\\t${Architecture}\\n']
  )
  writeFileSync(join(folder, 'debian.tsv'), debian)
  const { stdout } = await command(process.execPath, [
    ...['scripts/sbom.mjs', 'image', cpu, join(folder, 'debian.tsv'), node]
  ])
  const { components } = JSON.parse(stdout) as { readonly components: readonly { readonly purl: string }[] }
  const npm = components
    .map(({ purl }) => decodeURIComponent(purl))
    .filter(purl => purl.startsWith('pkg:npm/'))
  const installed: string[] = JSON.parse(await runInside(`node --input-type=module --eval "$0"`, INSTALLED))
  t.same(npm.toSorted(), installed.map(name => `pkg:npm/${name}`).toSorted())
  t.equal(components.length - npm.length, debian.split('\n').length + 1, 'and each Debian package, and Node')
})

t.test('commands are on the PATH', async t => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.match(await runInside('cio-webhook --version'), version)
})

t.test('the service and the commands run with the options of Node', async t => {
  const report = '--import=data:text/javascript,console.log(process.execArgv.join())'
  const options = '--max-semi-space-size=16,--import,/app/dist/cli/serve/pid1-signals.js'
  const offline = ['--rm', '--network', 'none', '--env', `NODE_OPTIONS=${report}`]
  t.match(await docker('run', ...offline, IMAGE, '--version'), options)
  t.match(await docker('run', ...offline, '--entrypoint', 'cio-webhook', IMAGE, '--version'), options)
})

t.test('what the image runs as can read all of the service and change none of it', async t => {
  t.equal(await runInside('id -u; find /app -writable ! -type l'), '1000')
  t.equal(await runInside('find /app ! -readable'), '')
})

t.test('a working copy’s secrets are in no layer, setting or line of the history', async t => {
  const found = await occurrences(IMAGE, join(folder, 'image.tar'), [CANARY, 'healthcheck'])
  t.equal(found[CANARY], 0)
  t.ok(found['healthcheck'], 'a text that is in there was found')
  t.notMatch(await docker('history', '--no-trunc', '--format', '{{.CreatedBy}}', IMAGE), CANARY)
})

/** @param args `$0` and so on of the script */
function runInside(script: string, ...args: readonly string[]): Promise<string> {
  return docker('run', '--rm', '--network', 'none', '--entrypoint', 'sh', IMAGE, '-c', script, ...args)
}
