import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Secret } from '../../../src/secret.ts'
import { runChecks, type Selection } from '../../../src/tools/doctor/run-checks.ts'
import { firingAlerts, type Series, samplesOf } from '../../helpers/alerts.ts'
import { runToEnd } from '../../helpers/command.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'
import { KEY, signV0, WEBHOOK_PATH } from '../../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

t.setTimeout(600_000)

let runs = 0
const PARKED = '{"not":"an event"'
const ALERT_TIMES_MINUTES = [2, 4, 6, 10, 30, 70, 75, 78, 90, 160]

async function scrape(url: string): Promise<ReadonlyMap<string, string>> {
  return samplesOf(await (await fetch(`${url}/metrics`)).text())
}

/** A gauge without a value is exported as `Nan`, for which promtool has no notation. */
const repeated = (value: string | undefined, times: number): string =>
  `${value === undefined || value.toLowerCase() === 'nan' ? '_' : value}x${times}`

/** The samples of two scrapes as series: a minute of the first, then hours of the second. */
function seriesOf(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>
): readonly Series[] {
  return [...after]
    .filter(([metric]) => metric.startsWith('cio_'))
    .map(([metric, value]) => [metric, `${repeated(before.get(metric), 2)} ${repeated(value, 400)}`])
}

async function examined(t: Test, env: Record<string, string>, selection: Selection) {
  const prefix = `run-${++runs}:`
  const consumer = await startReceiver(answers(500))
  t.teardown(() => consumer.stop())
  const file = join(temporaryFolder(), 'consumers.json')
  const consumers = [
    {
      name: 'crm',
      type: 'http',
      url: consumer.url,
      secret: `whsec_${randomBytes(24).toString('base64')}`,
      maxAttempts: 1
    }
  ]
  writeFileSync(file, JSON.stringify({ consumers }))
  const settings = { REDIS_URL: redis.url, CIO_KEY_PREFIX: prefix, CONSUMERS_FILE: file, ...env }
  const service = await startTestService(settings)
  t.teardown(() => service.close())
  const before = await scrape(service.url)
  const url = new URL(`${service.url}${WEBHOOK_PATH}`)
  await runChecks({ url, key: new Secret(KEY), now: Date.now }, selection)
  const group = async () => await runToEnd(['consumers', '--json'], { ...settings, CIO_WEBHOOK_SECRET: KEY })
  await until('the consumer to have read all of it', async () =>
    /^(?:0|undefined)$/.test(
      String((await scrape(service.url)).get('cio_consumer_lag{consumer="crm",partition="0"}'))
    )
  )
  const after = await scrape(service.url)
  return { service, consumer, before, after, prefix, consumers: await group(), settings }
}

t.test('a run triggers no alert, and leaves no parked delivery and no dead letter', async t => {
  const { service, consumer, before, after, prefix, consumers, settings } = await examined(t, {}, {})
  t.same(firingAlerts({ run: seriesOf(before, after) }, { minutes: ALERT_TIMES_MINUTES }), { run: [] })
  t.equal(after.get('cio_deliveries_total{source="default",outcome="parked"}'), '0')
  t.same(
    [...after.keys()].filter(metric => metric.startsWith('cio_parked_total')),
    []
  )
  t.equal(await redis.client.exists(`${prefix}parked:{0}`), 0)
  t.equal(await redis.client.exists(`${prefix}dead:crm`), 0)
  t.same(consumer.requests, [], 'nothing was pushed')
  t.equal(consumers.code, 0, consumers.stdout)
  const parked = await runToEnd(['consumers', 'parked', '--json'], { ...settings, CIO_WEBHOOK_SECRET: KEY })
  t.same(JSON.parse(parked.stdout), [])
  t.same(
    service.logLines().filter(({ outcome }) => outcome === 'parked'),
    []
  )
})

t.test('a read-only run triggers no alert', async t => {
  const { before, after } = await examined(t, {}, { readOnly: true })
  t.same(firingAlerts({ run: seriesOf(before, after) }, { minutes: ALERT_TIMES_MINUTES }), { run: [] })
})

t.test('a run from an address that is not allowed triggers no alert', async t => {
  const { before, after } = await examined(t, { NODE_ENV: 'production' }, {})
  t.equal(after.get('cio_forbidden_but_authentic_total{source="default"}'), '0')
  t.same(firingAlerts({ run: seriesOf(before, after) }, { minutes: ALERT_TIMES_MINUTES }), { run: [] })
})

t.test('the mark counts on authentic deliveries of the doctor alone', async t => {
  const { service, before, after, prefix } = await examined(t, {}, { readOnly: true })
  const marked = { 'user-agent': 'cio-webhook-doctor' }
  const outcome = async (headers: Record<string, string>) => (await service.post(PARKED, headers)).body
  t.match(await outcome(marked), { code: 'CIO_SIGNATURE_INVALID' })
  t.match(await outcome({ ...marked, 'x-cio-timestamp': '1', 'x-cio-signature': 'ab'.repeat(32) }), {
    code: 'CIO_SIGNATURE_INVALID'
  })
  t.match(await outcome({ ...signV0(PARKED), 'user-agent': 'Customer.io Webhooks' }), { status: 'parked' })
  t.equal(await redis.client.xlen(`${prefix}parked:{0}`), 1)
  const now = await scrape(service.url)
  const failures = (samples: ReadonlyMap<string, string>): number =>
    Number(samples.get('cio_deliveries_total{source="default",outcome="signature_invalid"}'))
  t.equal(failures(now), failures(after) + 2)
  t.same(firingAlerts({ run: seriesOf(before, now) }, { minutes: ALERT_TIMES_MINUTES }), {
    run: ['CioDeliveriesParked']
  })
})
