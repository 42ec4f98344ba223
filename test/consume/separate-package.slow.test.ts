// Installs and runs the separate package of the library, as a user would. Needs the npm registry.
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { sampleEvent } from '../../src/tools/send/samples.ts'
import { holdsLease, startConsumerProgram } from '../helpers/consumer-program.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { temporaryFolder, until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'
import { unixNow } from '../helpers/sign.ts'

// It installs Node, TypeScript and the package several times.
t.setTimeout(600_000)

const run = promisify(execFile)
/** The oldest supported version of each; the types do not depend on the version of Node. */
const setups = [
  { version: '20.20', typescript: '5.0' },
  { version: '22', typescript: '6.0' },
  { version: '24', typescript: '6.0' }
]
const resolutions = {
  nodenext: ['--module', 'nodenext'],
  bundler: ['--module', 'esnext', '--moduleResolution', 'bundler']
}

const TSC = ['node_modules/typescript/bin/tsc', '--strict', '--target', 'es2022', 'consumer.ts']

const work = temporaryFolder()
t.teardown(() => rmSync(work, { recursive: true, force: true }))
let people = 0
let tarball: string
let redis: TestRedis
let service: TestService
t.before(async () => {
  const packed = await run('npm', ['run', '--silent', 'pack:consumer', '--', work])
  tarball = packed.stdout.trim()
  redis = await startRedis()
  t.teardown(() => redis.stop())
  service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
})

/** The program in the package's README, with the Redis of this test. */
function documentedProgram(): string {
  const readme = readFileSync(join(work, 'cio-webhook-consumer', 'README.md'), 'utf8')
  const [, program = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? []
  return program.replace('redis://127.0.0.1:6379', redis.url)
}

t.test('the package has what the library needs, and ioredis as its only dependency', async t => {
  const { stdout } = await run('tar', ['-tzf', tarball])
  const files = stdout.trim().split('\n')
  const expected = /^package\/(package\.json|README\.md|LICENSE|dist\/[\w/-]+\.(js|d\.ts|lua))$/
  t.same(
    files.filter(file => !expected.test(file)),
    []
  )
  const main = JSON.parse(readFileSync('package.json', 'utf8'))
  const manifest = JSON.parse(readFileSync(join(work, 'cio-webhook-consumer', 'package.json'), 'utf8'))
  t.match(manifest, { name: 'cio-webhook-consumer', version: main.version, license: main.license })
  t.same(manifest.dependencies, { ioredis: main.dependencies.ioredis })
  t.same(Object.keys(manifest.peerDependencies), ['@opentelemetry/api'])
  t.same(manifest.peerDependenciesMeta, { '@opentelemetry/api': { optional: true } })
  for (const key of ['devDependencies', 'scripts', 'bin']) t.notOk(key in manifest, key)
})

for (const { version, typescript } of setups) {
  t.test(
    `a fresh project on Node ${version} with TypeScript ${typescript} installs, compiles and runs it`,
    async t => {
      const node = await installNode(version)
      const inProject = await createProject(`project-${version}`, node, [`typescript@~${typescript}`])
      for (const [resolution, settings] of Object.entries(resolutions)) {
        await inProject.run(node, [...TSC, ...settings, '--skipLibCheck', '--outDir', resolution])
        await receivesAnEvent(t, { folder: inProject.folder, file: `${resolution}/consumer.js`, redis, node })
      }
      const script = "process.version + ' ' + typeof require('cio-webhook-consumer').createConsumer"
      const { stdout } = await inProject.run(node, ['--print', script])
      t.ok(stdout.startsWith(`v${version}.`) && stdout.endsWith(' function\n'), stdout)
    }
  )
}

t.test('with the types of Node, its types also pass without skipLibCheck', async t => {
  const inProject = await createProject('project-types', process.execPath, [
    'typescript@~6.0',
    '@types/node@20'
  ])
  for (const settings of Object.values(resolutions)) {
    const { stdout } = await inProject.run(process.execPath, [
      ...TSC,
      ...settings,
      '--types',
      'node',
      '--noEmit'
    ])
    t.equal(stdout, '')
  }
})

/** @returns the path of that Node */
async function installNode(version: string): Promise<string> {
  const folder = join(work, `node-${version}`)
  await run('npm', ['install', '--silent', '--prefer-offline', '--prefix', folder, `node@${version}`])
  return join(folder, 'node_modules', 'node', 'bin', 'node')
}

/** A project with the documented program and the package. `run` runs a command in it, npm's too, by `node`. */
async function createProject(name: string, node: string, devPackages: readonly string[]) {
  const folder = join(work, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'consumer.ts'), documentedProgram())
  const PATH = dirname(node) + delimiter + process.env['PATH']
  const runInFolder = async (command: string, args: readonly string[]) => {
    try {
      return await run(command, args, { cwd: folder, env: { ...process.env, PATH } })
    } catch (error) {
      // The compiler prints errors to standard output.
      const { stdout, stderr } = error as { stdout: string; stderr: string }
      throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error })
    }
  }
  const install = ['install', '--silent', '--prefer-offline', '--engine-strict']
  await runInFolder('npm', [...install, tarball, ...devPackages])
  return { folder, run: runInFolder }
}

/** A delivery to the real service reaches the documented handler, which then ends cleanly. */
async function receivesAnEvent(t: Test, program: Parameters<typeof startConsumerProgram>[0]): Promise<void> {
  const consumer = await startConsumerProgram(program)
  t.teardown(() => consumer.stop('SIGKILL'))
  const person = ++people
  const event = sampleEvent('email.bounced', `event-${person}`, person, unixNow())
  t.match(await service.post(JSON.stringify(event)), { status: 200, body: { status: 'accepted' } })
  const line = `customer sample-${person} bounced: a sample failure (attempt 1)\n`
  await until('the event', async () => consumer.output().includes(line))
  await consumer.stop('SIGTERM')
  t.equal(consumer.process.signalCode, 'SIGTERM')
  t.notOk(await holdsLease(redis))
}
