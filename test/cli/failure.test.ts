import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import t from 'tap'
import { UsageError } from '../../src/cli/command.ts'
import { describeFailure } from '../../src/cli/failure.ts'
import { openLog } from '../../src/cli/open-log.ts'
import { ConfigError } from '../../src/errors.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort } from '../helpers/server.ts'

const PAYLOAD = 'ada@example.com'
const named = (name: string, message: string, more: object = {}): Error =>
  Object.assign(new Error(message), { name, ...more })

function errorOf(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}

const rows: readonly (readonly [name: string, error: unknown, line: RegExp])[] = [
  ['a usage error', new UsageError('give one URL'), /^give one URL$/],
  ['a setting', new ConfigError('PORT=\u001b[2J is not allowed'), /^PORT=\\u001b\[2J is not allowed$/],
  [
    'a missing file',
    errorOf(() => readFileSync('/no/such\nfile')),
    /^cannot open \/no\/such\\nfile: ENOENT \(no such file or directory\)$/
  ],
  [
    'a host name that does not exist',
    named('Error', 'getaddrinfo ENOTFOUND x.invalid', {
      ...{ syscall: 'getaddrinfo', errno: -3008, code: 'ENOTFOUND', hostname: 'x.invalid' }
    }),
    /^cannot resolve the host name x\.invalid: ENOTFOUND \(unknown node or service\)$/
  ],
  [
    'an error reply of Redis',
    named('ReplyError', `WRONGTYPE ${PAYLOAD}`, { command: { args: [PAYLOAD] } }),
    /^Redis refused a command: WRONGTYPE$/
  ],
  [
    'a lost connection',
    new Error('Connection is closed.'),
    /^the connection to Redis was lost; check REDIS_URL/
  ],
  [
    'a command without a reply',
    new Error('Command timed out'),
    /^the connection to Redis was lost; check REDIS_URL/
  ],
  [
    'a refusal of AWS',
    named('AccessDeniedException', `User ${PAYLOAD} is not authorized`, { $metadata: {} }),
    /^AWS failed: AccessDeniedException$/
  ],
  [
    'missing credentials of AWS',
    named('CredentialsProviderError', PAYLOAD, { tryNextLink: false }),
    /^AWS failed: CredentialsProviderError$/
  ],
  [
    'a bug',
    named('TypeError', `cannot read ${PAYLOAD}`, { code: 'ERR_INVALID_ARG_TYPE' }),
    /^unexpected error: TypeError ERR_INVALID_ARG_TYPE at failure\.test\.[jt]s:\d+:\d+\. This is a bug: please report this line, see CONTRIBUTING\.md$/
  ],
  ['a thrown text', PAYLOAD, /^unexpected error: string\. This is a bug: please report this line/]
]

for (const [name, error, line] of rows) {
  t.test(`${name} becomes one line with the cause, without a payload or a stack trace`, async t => {
    const text = await describeFailure(error)
    t.match(text, line)
    t.notMatch(text, PAYLOAD)
    t.equal(text.split('\n').length, 1)
  })
}

t.test('a refused connection is named with its address, also if the host has several', async t => {
  const port = await freePort()
  for (const [host, address] of [
    ['127.0.0.1', '127\\.0\\.0\\.1'],
    ['localhost', '(?:127\\.0\\.0\\.1|::1)']
  ] as const) {
    const error = await new Promise(resolve => connect(port, host).once('error', resolve))
    t.match(
      await describeFailure(error),
      new RegExp(`^cannot connect to ${address}:${port}: ECONNREFUSED \\(connection refused\\)$`)
    )
  }
})

t.test('a Redis that is lost in the middle of a command is named, with the cause', async t => {
  const redis = await startRedis()
  const log = await openLog({ REDIS_URL: redis.url })
  t.teardown(log.close)
  await redis.client.call('ACL', 'SETUSER', 'default', '-time')
  const refused = await log.redis.time().catch(thrown => thrown)
  t.equal(
    await describeFailure(refused),
    `Redis at 127.0.0.1:${redis.port} refused a command: NOPERM (the Redis user may not run time: allow it with ACL SETUSER <user> +time)`
  )
  await redis.stop('SIGKILL')
  const lost = await log.redis.get('a').catch(thrown => thrown)
  t.match(
    await describeFailure(lost),
    `the connection to Redis at 127.0.0.1:${redis.port} was lost: ECONNREFUSED (nothing listens at this address); check REDIS_URL`
  )
})
