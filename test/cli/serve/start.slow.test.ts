import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { runCommand, startServiceProcess } from '../../helpers/process.ts'
import { startRedis } from '../../helpers/redis.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'

t.setTimeout(600_000)

const sh = (command: string) => spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout

t.test(
  'without REDIS_URL a development start runs its own Redis, and the printed commands work as pasted',
  async t => {
    const service = await startServiceProcess({ CIO_WEBHOOK_SECRET: KEY })
    t.teardown(() => service.process.kill('SIGKILL'))
    const lines = (
      await until('the banner', async () => /XREVRANGE/.test(service.output()) && service.output())
    ).split('\n')
    const after = (heading: string): string => lines[lines.indexOf(heading) + 1]?.trim() ?? ''

    const consoleUrl = /^Console in the browser: (http:\S+)$/m.exec(lines.join('\n'))?.[1] ?? ''
    t.match(sh(`curl -s ${consoleUrl}`), /<h1>Overview<\/h1>/)
    t.match(sh(`${after('Send a signed delivery (accepted):')} -s`), /"status":"accepted"/)
    t.match(
      sh(`${after('Send one without a signature (refused):')} -s -w '%{http_code}'`),
      /CIO_SIGNATURE_INVALID.*401$/
    )
    const landed = sh(after('Show the newest event in the log:'))
    t.match(landed, /io\.customer\.email\.opened/)
    t.notMatch(landed, /ada@example\.com/)
    t.ok(existsSync(join(service.folder, 'data/redis/appendonlydir')), 'in an append-only file')

    service.process.kill('SIGTERM')
    t.equal(await service.ended, 0)
    const socket = join(service.folder, 'data/redis/redis.sock')
    t.notOk(existsSync(socket), 'its Redis has ended too')
  }
)

for (const workers of ['1', '2']) {
  t.test(`a port that is taken ends the start with 2 and says so: workers ${workers}`, async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const other = createServer()
    t.teardown(() => other.close())
    const port = await new Promise<number>(resolve =>
      other.listen(0, '127.0.0.1', () => {
        const address = other.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    )
    const {
      process: service,
      ended,
      output
    } = runCommand(['serve'], {
      HOST: '127.0.0.1',
      PORT: String(port),
      CIO_WEBHOOK_SECRET: KEY,
      REDIS_URL: redis.url,
      WORKERS: workers
    })
    t.teardown(() => service.kill('SIGKILL'))
    t.equal(await ended, 2)
    t.match(output(), `cio-webhook serve: cannot listen on PORT=${port}, HOST=127.0.0.1 (EADDRINUSE): give`)
    t.notMatch(output(), 'unexpected error')
  })
}

t.test(
  'a port that is taken is not followed by an alarm about the Redis that ends with the start',
  async t => {
    const other = createServer()
    t.teardown(() => other.close())
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    // On a busy machine, a start can lose its connection before it finds that the port is taken.
    await until('a start without an alarm', async () => {
      const { ended, output } = runCommand(['serve'], {
        HOST: '127.0.0.1',
        PORT: String(port),
        CIO_WEBHOOK_SECRET: KEY
      })
      t.equal(await ended, 2)
      t.match(output(), 'EADDRINUSE')
      return !output().includes('"level":"error"')
    })
  }
)

t.test(
  'a Redis URL that can not be used ends each command with 2 and one line, without the password',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    await redis.client.acl('SETUSER', 'bob', 'on', '>hunter2', '~*', '&*', '+@all', '-select')
    const at = `127.0.0.1:${redis.port}`
    const rows = [
      [`redis://${at}/99`, /REDIS_URL: Redis refuses database 99 .+ it has 16 databases, 0 to 15\n$/],
      [`redis://:hunter2@${at}/abc`, /REDIS_URL is not allowed: only a database number/],
      [`redis://bob:hunter2@${at}/3`, /REDIS_URL: Redis does not let this user select database 3 \(NOPERM\)/],
      [`redis://:p@ss#w/hunter2?@${at}/2`, /REDIS_URL is not allowed: encode the password/]
    ] as const
    for (const [url, expected] of rows) {
      for (const args of [
        ['serve'],
        ['events'],
        ['consumers'],
        ['rotate', 'status'],
        ['leaks', '--stream']
      ]) {
        const command = runCommand(args, {
          NODE_ENV: 'production',
          CIO_WEBHOOK_SECRET: KEY,
          REDIS_URL: url,
          PORT: '0',
          LOG_LEVEL: 'silent'
        })
        t.teardown(() => command.process.kill('SIGKILL'))
        t.equal(await command.ended, 2, args.join(' '))
        t.match(command.output(), expected)
        t.match(command.output(), /^cio-webhook \w+: [^\n]+\n$/, 'one line')
        t.notMatch(command.output(), /hunter2/)
      }
    }
  }
)

t.test(
  'settings that are probably mistakes are warned about once, whatever the number of workers',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const folder = temporaryFolder()
    const sources = join(folder, 'sources.json')
    writeFileSync(sources, JSON.stringify({ sources: [{ name: 'crm', secret: KEY }] }))
    const service = await startServiceProcess({
      REDIS_URL: redis.url,
      WORKERS: '2',
      DURABILTY: 'fsync',
      CIO_SECRET: 'hunter2',
      CIO_SOURCES_FILE: sources
    })
    t.teardown(() => {
      service.process.kill('SIGKILL')
      rmSync(folder, { recursive: true })
    })
    service.process.kill('SIGTERM')
    await service.ended
    const warnings = service
      .output()
      .split('\n')
      .filter(line => line.includes('"level":"warn"'))
      .map(line => JSON.parse(line).msg)
      // On a busy machine there are also some about a slow Redis.
      .filter(msg => !msg.includes('Redis'))
    t.match(warnings, [
      'DURABILTY is not a setting of this service: did you mean DURABILITY?',
      'CIO_SECRET is not a setting of this service: it has no effect',
      /^the sources default and crm have the same signing key/
    ])
    t.equal(warnings.length, 3)
    t.notMatch(service.output(), /hunter2/)
  }
)
