import { spawnSync } from 'node:child_process'
import t from 'tap'
import { runCommand, startServiceProcess } from '../../helpers/process.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

t.setTimeout(600_000)

const sh = (command: string) => spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout

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
