import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { appendEvent } from '../helpers/log.ts'
import { startRedis } from '../helpers/redis.ts'
import { temporaryFolder, until } from '../helpers/server.ts'

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))

t.test('the package exports the consumer, compiled, with its types', async t => {
  t.same(manifest.exports['./consumer'], {
    types: './dist/consumer/consumer.d.ts',
    default: './dist/consumer/consumer.js'
  })
})

t.test('the example runs as a package that depends on this one, and ends cleanly on Ctrl-C', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const folder = temporaryFolder()
  const installed = join(folder, 'node_modules', 'cio-webhook')
  mkdirSync(installed, { recursive: true })
  // What `npm run build` puts into dist is here in build/src.
  symlinkSync(resolve('build/src'), join(installed, 'dist'))
  writeFileSync(join(installed, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  cpSync('build/examples/consumer.js', join(folder, 'consumer.js'))

  const example = spawn(process.execPath, ['consumer.js'], {
    cwd: folder,
    env: { ...process.env, REDIS_URL: redis.url },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => void example.kill('SIGKILL'))
  let printed = ''
  for (const stream of [example.stdout, example.stderr]) stream.on('data', chunk => (printed += chunk))
  await until('it has started', async () => printed.includes('consuming as group crm'))
  await appendEvent(redis.client, {
    id: 'e1',
    subject: '4711',
    type: 'io.customer.email.bounced',
    data: { data: { failure_message: 'no such mailbox' } }
  })
  await appendEvent(redis.client, { id: 'e2', subject: '4712', type: 'io.customer.email.unsubscribed' })
  await until('it has handled both', async () => /4711: undeliverable \(no such mailbox\)\n/.test(printed))
  await until('and the other', async () => printed.includes('4712: unsubscribed'))
  const ended = new Promise(done => example.once('exit', (_, signal) => done(signal)))
  example.kill('SIGINT')
  t.equal(await ended, 'SIGINT')
  t.equal(await redis.client.exists('cio:lease:{0}:crm'), 0)
})
