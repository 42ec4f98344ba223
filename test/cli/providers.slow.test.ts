import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testCommands } from '../fixtures/commands-by-provider.ts'
import { runToEnd } from '../helpers/command.ts'
import { temporaryFolder } from '../helpers/server.ts'

t.setTimeout(600_000)

// AWS: see test/settings/secrets/aws.slow.test.ts.
t.test('every command runs with exactly the secrets that it needs, as variables', async t => {
  await testCommands(t, async secrets => ({ ...secrets }))
})

t.test('every command runs with exactly the secrets that it needs, as files', async t => {
  await testCommands(t, async secrets => {
    const folder = temporaryFolder()
    const files = Object.entries(secrets).map(([name, value]) => {
      const path = join(folder, name)
      writeFileSync(path, `${value}\n`)
      return [`${name}_FILE`, path]
    })
    return Object.fromEntries(files)
  })
})

t.test('a command that lacks a secret names it, and asks for no other', async t => {
  const [key, redis] = ['CIO_WEBHOOK_SECRET', 'REDIS_URL']
  const rows: readonly (readonly [args: readonly string[], missing: string])[] = [
    [['serve'], key],
    [['send', 'http://127.0.0.1:1/'], key],
    [['doctor', 'http://127.0.0.1:1/'], key],
    [['events'], redis],
    [['consumers'], redis],
    [['consumers', 'parked'], redis],
    [['leaks', '--stream'], redis],
    [['rotate'], 'CIO_SITE_ID'],
    [['rotate', 'webhook-key'], key]
  ]
  // A file that is not there stops every command that reads it.
  const unread = Object.fromEntries(
    ['PII_HASH_KEY', 'CIO_APP_API_KEY', 'REDIS_PASSWORD', key, redis].map(name => [
      `${name}_FILE`,
      '/nowhere'
    ])
  )
  const check = async ([args, missing]: (typeof rows)[number]): Promise<void> => {
    const env = { NODE_ENV: 'production', DATA_DIR: temporaryFolder() }
    const { code, stdout, stderr } = await runToEnd(args, env)
    t.equal(code, 2, args.join(' '))
    t.match(stdout + stderr, new RegExp(`\\b${missing} is missing`), args.join(' '))
    if (args[0] === 'serve' || args[0] === 'leaks') return // they read what is set, whatever it is
    const named = (await runToEnd(args, { ...env, ...unread })).stderr
    t.notMatch(named, missing === redis ? /SECRET|PII|APP_API/ : /REDIS_PASSWORD|PII|APP_API/, args.join(' '))
  }
  await Promise.all(rows.map(check))
})

t.test('rotate status says that Redis cannot be reached, and ends with 2', async t => {
  const env = { CIO_WEBHOOK_SECRET: 'signing-key', DATA_DIR: temporaryFolder() }
  const { code, stdout, stderr } = await runToEnd(['rotate', 'status'], {
    ...env,
    REDIS_URL: 'redis://:hunter2@127.0.0.1:1'
  })
  t.equal(code, 2)
  t.match(stderr, /cannot reach Redis at 127\.0\.0\.1:1: ECONNREFUSED \(nothing listens at this address\)/)
  t.notMatch(stdout, /deliveries/)
  t.notMatch(stdout + stderr, 'hunter2')
  const unset = await runToEnd(['rotate', 'status'], env)
  t.match(unset, { code: 2, stderr: /REDIS_URL is missing/ })
})
