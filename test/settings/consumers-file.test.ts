import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { ConfigError } from '../../src/errors.ts'
import { loadSettings } from '../../src/settings/config.ts'
import { readConsumersFile } from '../../src/settings/consumers-file.ts'
import { httpConsumer, natsConsumer, WEBHOOK_SECRET } from '../helpers/consumers-file.ts'
import { temporaryFolder } from '../helpers/server.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const folder = temporaryFolder()

function written(text: string, name = 'consumers.json'): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const refusal = (text: string): string => {
  const path = written(text)
  try {
    readConsumersFile('CONSUMERS_FILE', path)
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replace(path, 'F')
    throw error
  }
  return 'accepted'
}

const http = (changes: Record<string, unknown> = {}) => httpConsumer('crm', 'https://crm/events', changes)
const nats = (changes: Record<string, unknown> = {}) => natsConsumer('bus', 'nats://b:4222', changes)
const amqp = (changes: Record<string, unknown> = {}) => ({
  name: 'work',
  type: 'amqp',
  url: 'amqp://r',
  exchange: 'cio',
  ...changes
})
const file = (...consumers: unknown[]): string => JSON.stringify({ consumers }, undefined, 1)

t.test('the contract’s example is read, defaults filled in', async t => {
  const path = written(
    file(
      http({
        types: ['email.*', 'customer.unsubscribed'],
        concurrency: 10,
        timeoutMs: 10_000,
        maxAttempts: 12
      }),
      nats(),
      amqp()
    )
  )
  const consumers = readConsumersFile('CONSUMERS_FILE', path)
  t.match(consumers, [
    {
      name: 'crm',
      types: ['email.*', 'customer.unsubscribed'],
      from: 'start',
      retryDelayMs: 10_000,
      maxRetryDelayMs: 21_600_000,
      backlog: 1000,
      backlogBytes: 16_777_216
    },
    { name: 'bus', stream: 'CIO', subjectPrefix: 'cio' },
    { name: 'work', exchange: 'cio' }
  ])
  t.notMatch(inspect(consumers, { depth: 9 }) + JSON.stringify(consumers), WEBHOOK_SECRET)
})

t.test('a secret can lie in a file of its own', async t => {
  const secretFile = written(`${WEBHOOK_SECRET}\n`, 'secret')
  const path = written(file({ ...http(), secret: undefined, secretFile }))
  const [consumer] = readConsumersFile('CONSUMERS_FILE', path)
  t.equal(consumer?.type === 'http' && consumer.secrets[0]?.reveal(), WEBHOOK_SECRET)
  written('whsec_c2hvcnQ=', 'secret')
  t.throws(() => readConsumersFile('CONSUMERS_FILE', path), {
    message: `CONSUMERS_FILE=${path}: crm: secretFile: must be whsec_ and 24 to 64 bytes in base64`
  })
})

const refusals: readonly [what: string, text: string, line: string][] = [
  ['nothing', '', 'F: line 1: not JSON (a value is expected)'],
  ['broken JSON', '{ "consumers": [\n{ "name" ] }', 'F: line 2: not JSON (a colon is expected)'],
  ['no consumers', file(), 'F: line 2: consumers: must not be empty'],
  ['a text where a list belongs', '{ "consumers": "x" }', 'F: line 1: consumers: must be a list'],
  [
    'a missing key',
    file(nats({ stream: undefined })),
    'F: line 3: consumers.0.stream: is missing: give a text'
  ],
  [
    'a value that is none of the allowed ones',
    file(http({ from: 'end' })),
    'F: line 8: consumers.0.from: must be one of start, now'
  ],
  [
    'a number that is too large',
    file(http({ concurrency: 1001 })),
    'F: line 8: consumers.0.concurrency: must be at most 1000'
  ],
  [
    'a fraction',
    file(http({ concurrency: 1.5 })),
    'F: line 8: consumers.0.concurrency: must be a whole number'
  ],
  [
    'a secret file that is missing',
    file({ ...http(), secret: undefined, secretFile: '/nope' }),
    "F: crm: secretFile=/nope: the file can't be read (ENOENT)"
  ],
  ['an unknown key', file(http({ retires: 3 })), 'F: line 8: consumers.0.retires: unknown key'],
  ['an unknown type', file(http({ type: 'ftp' })), 'F: line 5: consumers.0.type: must be http, nats or amqp'],
  [
    'a name no group can have',
    file(http({ name: 'C R M' })),
    'F: line 4: consumers.0.name: must be 1 to 64 lower-case letters, digits, _ or -'
  ],
  [
    'the same name twice',
    file(http(), nats({ name: 'crm' })),
    'F: line 10: consumers.1.name: is taken by a consumer above'
  ],
  [
    'no secret',
    file({ ...http(), secret: undefined }),
    'F: line 3: consumers.0: needs one of secret and secretFile'
  ],
  [
    'two secrets',
    file(http({ secretFile: '/s' })),
    'F: line 3: consumers.0: needs one of secret and secretFile'
  ],
  [
    'a secret of another kind, which is not repeated',
    file(http({ secret: 'hunter2' })),
    'F: line 7: consumers.0.secret: must be whsec_ and 24 to 64 bytes in base64'
  ],
  [
    'credentials in an address, which are not repeated',
    file(http({ url: 'https://u:hunter2@crm/' })),
    'F: line 6: consumers.0.url: must be a http:// or https:// address without user, password and fragment'
  ],
  [
    'a glob that is none',
    file(http({ types: ['email/*'] })),
    'F: line 9: consumers.0.types.0: must be a glob such as email.* or *.bounced'
  ],
  [
    'a type without a metric',
    file(http({ types: ['email'] })),
    'F: line 9: consumers.0.types.0: a type is <object_type>.<metric>: did you mean email.*?'
  ],
  [
    'a NATS server that is not a URL',
    file(nats({ servers: ['nats://a:}'] })),
    'F: line 7: consumers.0.servers.0: must be a nats:// or tls:// address without user, password and fragment'
  ],
  [
    'a NATS cluster of which only some servers are asked for TLS',
    file(nats({ servers: ['tls://a:4222', 'nats://b:4222'] })),
    'F: line 6: consumers.0.servers: must all be tls:// addresses, or none'
  ],
  [
    'a backlog smaller than the concurrency',
    file(http({ concurrency: 20, backlog: 5 })),
    'F: line 9: consumers.0.backlog: must not be smaller than concurrency'
  ],
  [
    'a first pause longer than the longest',
    file(http({ retryDelayMs: 5000, maxRetryDelayMs: 1000 })),
    'F: line 8: consumers.0.retryDelayMs: must not be longer than maxRetryDelayMs'
  ],
  [
    'a password without a user',
    file(nats({ password: 'x' })),
    'F: line 3: consumers.0: needs user and password together'
  ],
  [
    'two ways to log in',
    file(nats({ user: 'u', password: 'p', token: 't' })),
    'F: line 3: consumers.0: takes either user and password or token'
  ],
  [
    'a user without a password',
    file(amqp({ username: 'u' })),
    'F: line 3: consumers.0: needs username and password together'
  ],
  [
    'a wildcard as a subject',
    file(nats({ subjectPrefix: 'cio.*' })),
    'F: line 10: consumers.0.subjectPrefix: must be one or more words of letters, digits, _ and -, joined by dots'
  ]
]

for (const [what, text, line] of refusals) {
  t.test(`${what}: the start is refused in one line with line and key`, async t => {
    t.equal(refusal(text), `CONSUMERS_FILE=${line}`)
  })
}

t.test('DISPATCH goes with a CONSUMERS_FILE', async t => {
  const load = async (env: Record<string, string>) => (await loadSettings(env, ['dispatch'])).dispatch
  const path = written(file(http()))
  t.equal((await load({})).isOn, false)
  t.equal((await load({ CONSUMERS_FILE: path })).isOn, true)
  t.match(await load({ CONSUMERS_FILE: path, DISPATCH: 'off' }), {
    isOn: false,
    consumers: [{ name: 'crm' }]
  })
  await t.rejects(load({ DISPATCH: 'on' }), { message: /^DISPATCH=on is not allowed without CONSUMERS_FILE/ })
})

t.test('the published JSON Schema is the one the service reads with, and takes what it takes', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/document-consumers.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8'
  })
  t.same([status, stderr], [0, ''])
  const schema = JSON.parse(readFileSync(join(root, 'docs/consumers.schema.json'), 'utf8'))
  const validate = new Ajv2020({ strict: false }).compile(schema)
  t.ok(validate(JSON.parse(file(http(), nats(), amqp()))))
  for (const wrong of [
    file(),
    file(http({ retires: 3 })),
    file(http({ type: 'ftp' })),
    file(http({ name: 'C R M' }))
  ]) {
    t.notOk(validate(JSON.parse(wrong)), wrong)
  }
})
