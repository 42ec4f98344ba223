import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { KEY } from '../helpers/sign.ts'

t.setTimeout(600_000)

const SCRIPT = fileURLToPath(new URL('../../src/cli/cio-webhook.sh', import.meta.url))
const OPTION = '--max-semi-space-size=16'
/** With the Node that runs this test. */
const env = { PATH: `${dirname(process.execPath)}:${process.env['PATH']}` }

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))
// npm and the image link the script from a folder of the PATH.
const link = join(folder, 'cio-webhook')
symlinkSync(SCRIPT, link)

const program = `
  const { getHeapStatistics } = await import('node:v8')
  console.log(JSON.stringify({ options: process.execArgv, limit: getHeapStatistics().heap_size_limit }))`
const report = `--import=data:text/javascript,${encodeURIComponent(program)}`

t.test('a command that is started through a link runs with the options, and V8 uses them', async t => {
  const output = execFileSync(link, ['--version'], {
    env: { ...env, NODE_OPTIONS: report },
    encoding: 'utf8',
    cwd: folder
  })
  const [line = '', version] = output.split('\n')
  const { options, limit } = JSON.parse(line)
  t.ok(options.includes(OPTION))
  const expected = execFileSync(process.execPath, [OPTION, report, '--eval', ''], { encoding: 'utf8' })
  t.equal(limit, JSON.parse(expected).limit, 'the limit of the heap contains the young generation')
  t.equal(version, JSON.parse(readFileSync('package.json', 'utf8')).version)
})

t.test('the service and its workers run with the options, in the process that was started', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const port = await freePort()
  const service = spawn(link, ['serve'], {
    cwd: folder,
    stdio: 'ignore',
    env: {
      ...env,
      HOST: '127.0.0.1',
      PORT: String(port),
      CIO_WEBHOOK_SECRET: KEY,
      REDIS_URL: redis.url,
      WORKERS: '2'
    }
  })
  t.teardown(() => service.kill('SIGKILL'))
  const ended = new Promise(resolve => service.once('exit', code => resolve(code)))
  const read = (pid: number | undefined, file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8')
  const workers = await until('two workers', async () => {
    const children = read(service.pid, `task/${service.pid}/children`).split(' ').filter(Boolean).map(Number)
    return children.length === 2 && children
  })
  for (const pid of [service.pid, ...workers]) t.ok(read(pid, 'cmdline').split('\0').includes(OPTION))
  await until('it is ready', () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ ok }) => ok,
      () => false
    )
  )
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})

t.test('the package, npm start and the image all run the script', async t => {
  const { bin, scripts } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.equal(bin['cio-webhook'], 'dist/cli/cio-webhook.sh')
  t.equal(scripts.start, 'sh dist/cli/cio-webhook.sh serve')
  const image = readFileSync('Dockerfile', 'utf8')
  t.match(image, 'ln -s /app/dist/cli/cio-webhook.sh /usr/local/bin/cio-webhook')
  t.match(image, 'ENTRYPOINT ["cio-webhook"]')
})
