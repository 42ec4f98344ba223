import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { runCommand, startServiceProcess } from '../helpers/process.ts'
import { postText } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { deliverTo, postTo } from '../helpers/service.ts'
import { KEY, signV0 } from '../helpers/sign.ts'

const PATH = '/api/cio/webhook'
let ids = 0
const newBody = (): string =>
  JSON.stringify({ event_id: `id-${++ids}`, object_type: 'email', metric: 'sent' })
const sh = (command: string) => spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout

t.test('without a Redis a development start brings its own, and what it prints works as pasted', async t => {
  const service = await startServiceProcess({ CIO_WEBHOOK_SECRET: KEY })
  t.teardown(() => service.process.kill('SIGKILL'))
  const lines = (
    await until('the welcome', async () => /XREVRANGE/.test(service.output()) && service.output())
  ).split('\n')
  const after = (heading: string): string => lines[lines.indexOf(heading) + 1]?.trim() ?? ''

  t.match(sh(`${after('Accepted:')} -s`), /"status":"accepted"/)
  t.match(sh(`${after('Refused:')} -s -w '%{http_code}'`), /CIO_SIGNATURE_INVALID.*401$/)
  const landed = sh(after('Where the event landed:'))
  t.match(landed, /io\.customer\.email\.opened/)
  t.notMatch(landed, /ada@example\.com/)
  t.ok(existsSync(join(service.folder, 'data/redis/appendonlydir')), 'in an append-only file')

  service.process.kill('SIGTERM')
  t.equal(await service.ended, 0)
  const socket = join(service.folder, 'data/redis/redis.sock')
  t.notOk(existsSync(socket), 'its Redis went with it')
})

t.test('a private Redis does not outlive a service that is killed, and keeps what was answered', async t => {
  const service = await startServiceProcess({})
  const body = newBody()
  t.equal((await postTo(service.url + PATH, body)).status, 200)
  await new Promise(resolve => setTimeout(resolve, 1100)) // everysec: what is older than a second is on disk
  service.process.kill('SIGKILL')
  await service.ended
  const socket = join(service.folder, 'data/redis/redis.sock')
  await until('its Redis ending', async () => !existsSync(socket))

  const again = runCommand(
    ['serve'],
    { PORT: String(service.port), HOST: '127.0.0.1', CIO_WEBHOOK_SECRET: KEY },
    service.folder
  )
  t.teardown(() => again.process.kill('SIGTERM'))
  await until('the service', () =>
    fetch(`${service.url}/readyz`).then(
      response => response.ok,
      () => false
    )
  )
  t.equal((await postTo(service.url + PATH, body)).body['status'], 'duplicate')
})

t.test('two services do not share a DATA_DIR', async t => {
  const first = await startServiceProcess({})
  t.teardown(() => first.process.kill('SIGTERM'))
  const second = runCommand(['serve'], { PORT: '0', CIO_WEBHOOK_SECRET: KEY }, first.folder)
  t.equal(await second.ended, 2)
  t.match(second.output(), /^cio-webhook serve: DATA_DIR=\.\/data is in use by a running cio-webhook: .*\n$/)
  t.ok((await fetch(`${first.url}/readyz`)).ok, 'the first goes on')
})

t.test('a start that can’t be meant ends with 2 and one line', async t => {
  const rows: readonly (readonly [readonly string[], Record<string, string>, RegExp])[] = [
    [['serve'], { NODE_ENV: 'production' }, /^cio-webhook serve: CIO_WEBHOOK_SECRET is missing: [^\n]+\n$/],
    [['serve'], { PORT: 'http' }, /^cio-webhook serve: PORT=http is not allowed: [^\n]+\n$/],
    [['sreve'], {}, /^usage: cio-webhook <command>/],
    [[], {}, /^usage: cio-webhook <command>/]
  ]
  for (const [args, env, expected] of rows) {
    const command = runCommand(args, env)
    t.equal(await command.ended, 2, args.join(' '))
    t.match(command.output(), expected)
  }
  const help = runCommand(['serve', '--help'], {})
  t.equal(await help.ended, 0)
  t.match(help.output(), /^usage: cio-webhook serve/)
})

t.test(
  'on SIGTERM what is in flight is answered, later connections are turned away, and it ends with 0',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const service = await startServiceProcess({ REDIS_URL: redis.url, SHUTDOWN_DELAY_SECONDS: '1' })
    t.teardown(() => service.process.kill('SIGKILL'))

    const body = newBody()
    const text = postText(body, signV0(body))
    const slow = connect(service.port, '127.0.0.1')
    let answer = ''
    slow.on('data', chunk => {
      answer += chunk
    })
    slow.write(text.subarray(0, text.length - 3))
    await until('the request being there', async () => (await fetch(`${service.url}/healthz`)).ok)

    service.process.kill('SIGTERM')
    await until('the drain', async () => (await fetch(`${service.url}/readyz`)).status === 503)
    t.equal((await fetch(`${service.url}/healthz`)).status, 200, 'alive while it drains')
    t.equal((await postTo(service.url + PATH, newBody())).status, 200, 'and deliveries are still taken')
    await until('the listener closing', () =>
      fetch(`${service.url}/readyz`).then(
        () => false,
        () => true
      )
    )
    slow.write(text.subarray(text.length - 3))
    await until('the answer', async () => answer.includes('"status":"accepted"'))
    t.match(answer, /^HTTP\/1\.1 200/)
    t.equal(await service.ended, 0)
    t.match(service.output(), /"outcome":"accepted"/, 'the last log lines were written')
  }
)

t.test('several workers share the port, one log, and one consistent /metrics', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = await startServiceProcess({ REDIS_URL: redis.url, WORKERS: '2' })
  t.teardown(() => service.process.kill('SIGKILL'))
  const bodies = Array.from({ length: 60 }, newBody)
  const twice = await Promise.all([...bodies, ...bodies].map(body => deliverTo(service.url + PATH, body)))
  t.equal(twice.filter(answer => answer.body['status'] === 'accepted').length, 60)
  t.equal(await redis.client.xlen('cio:events:{0}'), 60)

  await until('lines of a primary and two workers', async () => {
    return new Set(service.output().match(/"pid":\d+/g)).size === 3
  })
  for (let scrape = 0; scrape < 5; scrape++) {
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    t.match(metrics, /^cio_deliveries_total\{source="default",outcome="accepted"\} 60$/m)
    t.match(metrics, /^cio_deliveries_total\{source="default",outcome="duplicate"\} 60$/m)
    t.match(metrics, /^cio_stream_length\{partition="0"\} 60$/m)
  }

  const [, worker = ''] = /"pid":(\d+).*"outcome"/.exec(service.output()) ?? []
  process.kill(Number(worker), 'SIGKILL')
  await until('another worker', async () => /a worker died/.test(service.output()))
  await until('service as before', async () => (await postTo(service.url + PATH, newBody())).status === 200)
  service.process.kill('SIGTERM')
  t.equal(await service.ended, 0)
})
