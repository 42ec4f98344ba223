import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { adviceOn } from '../../../src/tools/connect/advice.ts'
import { rememberConnection } from '../../../src/tools/connect/connections.ts'
import { runToEnd } from '../../helpers/command.ts'
import { startCustomerIo } from '../../helpers/customer-io.ts'
import { startRedis } from '../../helpers/redis.ts'
import { allNames, ENDPOINT, fakeWebhook } from '../../helpers/reporting-webhook.ts'
import { temporaryFolder } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'
import { newBody, signV0 } from '../../helpers/sign.ts'
import { onTerminal } from '../../helpers/terminal.ts'

t.setTimeout(600_000)

const APP_KEY = 'app-key-0123456789'
const OLD_KEY = 'old-signing-key-0123456789'
const NEW_KEY = 'new-signing-key-0123456789'

/** A running service, whose signing key is in a file, and Customer.io. */
async function start(t: Test) {
  const [redis, cio, folder] = [await startRedis(), await startCustomerIo(t), temporaryFolder()]
  cio.appKeys.add(APP_KEY)
  const keyFile = join(folder, 'cio-webhook-secret')
  writeFileSync(keyFile, `${OLD_KEY}\n`)
  const env = {
    REDIS_URL: redis.url,
    CIO_WEBHOOK_SECRET_FILE: keyFile,
    CIO_APP_API_KEY: APP_KEY,
    CIO_APP_URL: cio.appUrl,
    DATA_DIR: folder,
    LOG_LEVEL: 'warn'
  }
  const service = await startTestService({ REDIS_URL: redis.url, CIO_WEBHOOK_SECRET_FILE: keyFile })
  t.teardown(async () => {
    await service.close()
    await redis.stop()
    rmSync(folder, { recursive: true })
  })
  const changes = (): string[] => cio.requests.filter(request => !request.startsWith('GET'))
  return { redis, cio, env, keyFile, service, changes }
}

t.test('a webhook is created, and connecting a second time changes nothing', async t => {
  const { cio, env, changes } = await start(t)
  const dry = await runToEnd(['connect', ENDPOINT, '--dry-run'], env)
  t.match(dry, { code: 0, stdout: /No webhook posts to .* yet/, stderr: '' })
  t.match(dry.stdout, 'all 73 event types')
  t.match(await runToEnd(['connect', ENDPOINT], env), {
    code: 2,
    stderr: /add --yes, because there is no terminal/
  })
  t.same(changes(), [], 'nothing is created without a confirmation')
  t.match(await runToEnd(['connect', 'status'], env), { code: 2, stderr: /nothing is connected yet/ })

  const created = await runToEnd(['connect', ENDPOINT, '--yes'], env)
  t.match(created, { code: 0, stdout: /Created: webhook 1\./, stderr: '' })
  t.match(created.stdout, /copy the signing key .* to the file/s)
  t.match(cio.webhooks, [{ endpoint: ENDPOINT, full_resolution: true, with_content: false }])
  const again = await runToEnd(['connect', `${ENDPOINT}/`, '--yes', '--apply', '--json'], env)
  t.match(again, { code: 0 })
  t.match(JSON.parse(again.stdout), { result: 'unchanged', source: 'default', differences: [] })
  t.same(changes(), ['POST /v1/reporting_webhooks 200'])
  t.match(await runToEnd(['connect', 'status'], env), { code: 0, stdout: /default +1 +ok/ })
  for (const { stdout, stderr } of [dry, created, again]) t.notMatch(stdout + stderr, APP_KEY)
})

t.test('a webhook that differs is shown, and corrected with --apply only', async t => {
  const { cio, env, changes } = await start(t)
  cio.webhooks.push(
    fakeWebhook({
      disabled: true,
      full_resolution: false,
      with_content: true,
      events: allNames.filter(name => name !== 'email_bounced')
    })
  )
  const shown = await runToEnd(['connect', ENDPOINT, '--yes'], env)
  t.match(shown, { code: 1, stdout: /only first opens and clicks arrive/ })
  for (const part of [
    'it is disabled',
    'it does not send email_bounced',
    'body content is on',
    'add --apply'
  ]) {
    t.match(shown.stdout, part)
  }
  const dry = await runToEnd(['connect', ENDPOINT, '--apply', '--dry-run', '--json'], env)
  t.match(JSON.parse(dry.stdout), { result: 'would_change', differences: [{ kind: 'disabled' }, {}, {}, {}] })
  t.match(await runToEnd(['connect', ENDPOINT, '--apply'], env), { code: 2, stderr: /add --yes/ })
  t.same(changes(), [])
  t.match(await runToEnd(['connect', ENDPOINT, '--apply', '--yes'], env), {
    code: 0,
    stdout: /Changed: webhook 7/
  })
  t.same([...(cio.webhooks[0]?.events ?? [])].sort(), [...allNames].sort())
  t.match(cio.webhooks, [{ disabled: false, full_resolution: true, with_content: false }])

  cio.webhooks[0] = fakeWebhook({ disabled: true })
  const status = await runToEnd(['connect', 'status'], env)
  t.match(status, { code: 1, stdout: /the webhook 7 is disabled at Customer\.io/ })
})

t.test('the fix of a state keeps the source and the events that were connected', async t => {
  const { cio, env } = await start(t)
  const own = ['https://hooks.example.com/cio', '--source', 'default', '--events', 'email.opened']
  t.match(await runToEnd(['connect', ...own, '--events', 'push.*', '--yes'], env), { code: 0 })
  const [connected] = cio.webhooks
  if (connected === undefined) throw new Error('no webhook is connected')
  const { events } = connected
  cio.webhooks[0] = { ...connected, disabled: true }
  const status = await runToEnd(['connect', 'status', '--json'], env)
  const [check] = JSON.parse(status.stdout)
  const fix = adviceOn(check)?.fix ?? ''
  const { stdout } = await runToEnd([...fix.replaceAll("'", '').split(' ').slice(1), '--yes'], env)
  t.match(stdout, /Changed: webhook 1/, fix)
  t.match(cio.webhooks, [{ disabled: false, events }])
  t.match(await runToEnd(['connect', 'status'], env), { code: 0 })
})

t.test('status names the connected sources that are not configured where it runs', async t => {
  const { redis, cio, env } = await start(t)
  await rememberConnection(redis.client, 'cio:', {
    source: 'crm',
    endpoint: `${ENDPOINT}/crm`,
    events: undefined,
    webhook: '8'
  })
  const stderr = /^not checked: crm; no source of this name is configured here: .*CIO_SOURCES_FILE.*\n$/
  t.match(await runToEnd(['connect', 'status'], env), { code: 2, stdout: '', stderr })
  t.match(await runToEnd(['connect', ENDPOINT, '--yes'], env), { code: 0 })
  t.match(await runToEnd(['connect', 'status'], env), { code: 0, stdout: /default +1 +ok/, stderr })
  const printed = await runToEnd(['connect', 'status', '--json'], env)
  t.match(printed, { code: 0, stderr })
  t.match(JSON.parse(printed.stdout), [{ source: 'default', state: 'ok' }])
  t.equal(cio.webhooks.length, 1)
})

t.test('a webhook of another host is moved if the operator chooses it', async t => {
  const { cio, env, changes } = await start(t)
  const old = 'https://old.example.com/api/cio/webhook'
  cio.webhooks.push(fakeWebhook({ endpoint: old }))
  t.match(await runToEnd(['connect', ENDPOINT, '--dry-run'], env), {
    stdout: /to move it instead, add --webhook 7/
  })
  const moved = await runToEnd(['connect', ENDPOINT, '--webhook', '7', '--apply', '--yes'], env)
  t.match(moved, { code: 0, stdout: `it posts to ${old}, not to ${ENDPOINT}` })
  t.equal(cio.webhooks[0]?.endpoint, ENDPOINT)
  t.same(changes(), ['PUT /v1/reporting_webhooks/7 200'])
  cio.webhooks.push(fakeWebhook({ id: 8 }))
  t.match(await runToEnd(['connect', ENDPOINT, '--apply', '--yes'], env), {
    code: 1,
    stdout: /Several webhooks post to/
  })
})

t.test(
  'on a terminal, the key is asked for once, stored without the spaces around it, and never shown',
  async t => {
    const { env, keyFile, service } = await start(t)
    const output = await onTerminal(['connect', ENDPOINT], env, 'yes', `  ${NEW_KEY} `)
    t.match(output, /Created: webhook 1\./)
    t.notMatch(output, 'cannot be undone')
    t.match(output, /put the new key beside the old/)
    t.notMatch(output, NEW_KEY)
    t.equal(readFileSync(keyFile, 'utf8'), `${NEW_KEY}\n`)
    t.equal(readFileSync(`${keyFile}.previous`, 'utf8'), `${OLD_KEY}\n`)
    for (const key of [NEW_KEY, OLD_KEY]) {
      const body = newBody()
      t.match(await service.post(body, signV0(body, key)), { status: 200 })
    }
    const refused = await onTerminal(['connect', ENDPOINT, '--key'], env, '', `"${NEW_KEY}"`)
    t.match(refused, /it begins with a quotation mark/)
    t.notMatch(refused, NEW_KEY)
    t.match(await onTerminal(['connect', ENDPOINT], env, 'no'), /as it should be/)
  }
)

t.test('--verify shows the first delivery, or says that none came', async t => {
  const { cio, env, service } = await start(t)
  cio.webhooks.push(fakeWebhook())
  const verify = ['connect', ENDPOINT, '--verify', '--wait']
  t.match(await runToEnd([...verify, '2s'], env), { code: 1, stdout: /No delivery arrived within 2 s/ })
  const body = newBody()
  const timer = setInterval(() => void service.post(newBody(), signV0(newBody(), OLD_KEY)), 500)
  t.teardown(() => clearInterval(timer))
  t.match(await runToEnd([...verify, '4s'], env), { code: 1, stdout: /matches no key/ }, 'a wrong signature')
  clearInterval(timer)
  const waiting = runToEnd([...verify, '60s', '--json'], env)
  const sender = setInterval(() => void service.post(body, signV0(body, OLD_KEY)), 500)
  t.teardown(() => clearInterval(sender))
  const { code, stdout } = await waiting
  t.equal(code, 0)
  t.match(JSON.parse(stdout), {
    verification: { outcome: 'received', key: /^[0-9a-f]{8}$/, type: /^io\.customer\./ }
  })
})

t.test('each cause of a failure is named', async t => {
  const { cio, env } = await start(t)
  const { CIO_APP_API_KEY: _, ...withoutKey } = env
  const runs: readonly (readonly [args: readonly string[], env: Record<string, string>, stderr: RegExp])[] = [
    [[ENDPOINT], withoutKey, /CIO_APP_API_KEY is missing: create an App API key/],
    [
      [ENDPOINT],
      { ...env, CIO_APP_API_KEY: 'revoked' },
      /refused CIO_APP_API_KEY \(status 401\).*CIO_REGION/
    ],
    [['hooks.example.com'], env, /give a URL that begins with/],
    [['https://hooks.example.com/cio'], env, /add --source if a proxy changes the path/],
    [[`${ENDPOINT}/crm`], env, /unknown source crm/],
    [[ENDPOINT, '--events', 'emial.*'], env, /matches no event type of Customer\.io/],
    [[ENDPOINT, '--webhook', '99'], env, /--webhook 99: Customer\.io lists no webhook with this id/],
    [[`${ENDPOINT}?token=x`], env, /give the URL without a query/],
    [[], env, /give one public URL, or status/],
    [['status', '--apply'], env, /status takes no option but --json/]
  ]
  for (const [args, env, stderr] of runs) {
    t.match(await runToEnd(['connect', ...args], env), { code: 2, stderr }, args.join(' '))
  }
  t.match(
    await runToEnd(['connect', 'https://hooks.example.com/cio', '--source', 'default', '--dry-run'], env),
    {
      code: 0
    }
  )
  cio.answer = { status: 200, body: '{"reporting_webhooks":{}}' }
  t.match(await runToEnd(['connect', ENDPOINT], env), { code: 2, stderr: /reporting_webhooks is not a list/ })
})
