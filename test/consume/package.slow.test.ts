import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { holdsLease, startConsumerProgram } from '../helpers/consumer-program.ts'
import { appendEvent } from '../helpers/log.ts'
import { startRedis } from '../helpers/redis.ts'
import { temporaryFolder, until } from '../helpers/server.ts'

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))

t.test('the package exports the consumer, compiled, with its types', async t => {
  t.same(manifest.exports['./consumer'], {
    types: './dist/consume/consumer.d.ts',
    default: './dist/consume/consumer.js'
  })
})

t.test(
  'the example runs with cio-webhook/consumer too, needs only ioredis, and ends cleanly on Ctrl-C',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const folder = temporaryFolder()
    const installed = join(folder, 'node_modules', 'cio-webhook')
    mkdirSync(installed, { recursive: true })
    // What `npm run build` puts into dist is here in build/src. Copied, it finds no package but ioredis: an import of
    // another one, which scripts/pack-consumer.mjs would refuse, fails here too.
    cpSync('build/src', join(installed, 'dist'), { recursive: true })
    symlinkSync(resolve('node_modules/ioredis'), join(folder, 'node_modules', 'ioredis'))
    writeFileSync(join(installed, 'package.json'), JSON.stringify(manifest))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    const example = readFileSync('build/examples/consumer.js', 'utf8')
    writeFileSync(
      join(folder, 'consumer.js'),
      example.replaceAll('cio-webhook-consumer', 'cio-webhook/consumer')
    )

    const program = await startConsumerProgram({ folder, file: 'consumer.js', redis })
    t.teardown(() => program.stop('SIGKILL'))
    await until('it says so', async () => program.output().includes('consuming as group crm'))
    await appendEvent(redis.client, {
      id: 'e1',
      subject: '4711',
      type: 'io.customer.email.bounced',
      data: { data: { failure_message: 'no such mailbox' } }
    })
    await appendEvent(redis.client, { id: 'e2', subject: '4712', type: 'io.customer.email.unsubscribed' })
    await until('it has handled the bounce', async () =>
      /4711: undeliverable \(no such mailbox\)\n/.test(program.output())
    )
    await until('and the other', async () => program.output().includes('4712: unsubscribed'))
    await program.stop('SIGINT')
    t.equal(program.process.signalCode, 'SIGINT')
    t.notOk(await holdsLease(redis))
  }
)
