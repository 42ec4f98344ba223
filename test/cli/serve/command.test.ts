import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { runCommand, startServiceProcess } from '../../helpers/process.ts'
import { postText, sendRaw } from '../../helpers/raw-http.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { postTo } from '../../helpers/service.ts'
import { KEY, newBody, signV0, WEBHOOK_PATH } from '../../helpers/sign.ts'

t.setTimeout(120_000)

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

t.test('with REDIS_URL the printed command reads that Redis, and does not contain its password', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  await redis.client.acl('SETUSER', 'bob', 'on', '>hunter2', '~*', '&*', '+@all')
  for (const [login, options] of [
    ['', ''],
    ['bob:hunter2@', ` --user 'bob' --askpass`]
  ]) {
    const service = await startServiceProcess({ REDIS_URL: `redis://${login}127.0.0.1:${redis.port}/3` })
    t.teardown(() => service.process.kill('SIGKILL'))
    const output = await until('the banner', async () => /COUNT 1/.test(service.output()) && service.output())
    const command = `redis-cli -h 127.0.0.1 -p ${redis.port} -n 3${options} XREVRANGE 'cio:events:{0}' + - COUNT 1`
    t.match(output, `Show the newest event in the log:\n  ${command}\n`)
    t.notMatch(output, 'hunter2')
    if (login !== '') continue
    sh(`${/\(accepted\):\n(.+)/.exec(output)?.[1]} -s`)
    t.match(sh(command), /io\.customer\.email\.opened/)
  }
})

t.test('an invalid command line or setting ends with 2 and one line', async t => {
  const rows: readonly (readonly [readonly string[], Record<string, string>, RegExp])[] = [
    [['serve'], { NODE_ENV: 'production' }, /^cio-webhook serve: CIO_WEBHOOK_SECRET is missing: [^\n]+\n$/],
    [['serve'], { PORT: 'http' }, /^cio-webhook serve: PORT=http is not allowed: [^\n]+\n$/],
    [['serve', '--port', '80'], {}, /^cio-webhook serve: unknown option --port: --help lists them\n$/],
    [['serve', 'now'], {}, /^cio-webhook serve: unexpected argument now\n$/],
    [['sreve'], {}, /^cio-webhook: unknown command "sreve"\n\nusage: cio-webhook <command>/],
    [['events', '--nope'], {}, /^cio-webhook events: unknown option --nope: --help lists them\n$/],
    [['send', '-x'], {}, /^cio-webhook send: unknown option -x: --help lists them\n$/],
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
  'on SIGTERM requests in flight are answered, later connections are refused, and the exit code is 0',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const service = await startServiceProcess({ REDIS_URL: redis.url, SHUTDOWN_DELAY_SECONDS: '2' })
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
    t.equal(
      (await postTo(service.url + WEBHOOK_PATH, newBody())).status,
      200,
      'and deliveries are still taken'
    )
    const other = newBody()
    const tooLarge = postText('', { 'content-length': String(6 * 1024 * 1024) })
    const requests = [postText(other, signV0(other)), postText(other, {}), tooLarge]
    const answers = await Promise.all(requests.map(request => sendRaw(service.port, request)))
    t.same(
      answers.map(({ status, head }) => [status, /^connection: .*$/im.exec(head)?.[0].toLowerCase()]),
      [200, 401, 413].map(status => [status, 'connection: close']),
      'a load balancer does not reuse the connection of any answer'
    )
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
