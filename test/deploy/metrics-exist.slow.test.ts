import t from 'tap'
import { rememberConnection } from '../../src/tools/connect/connections.ts'
import { writeResult } from '../../src/tools/reconcile/result.ts'
import { deliveredRules } from '../helpers/alerts.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startCustomerIo } from '../helpers/customer-io.ts'
import { deliveredDashboards, expressionsOf } from '../helpers/dashboards.ts'
import { groupingLabelsOf, type LabelValues, selectorsOf, seriesOfScrape } from '../helpers/promql.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { ENDPOINT, fakeWebhook } from '../helpers/reporting-webhook.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

/** Prometheus adds them. */
const TARGET_LABELS = ['cluster', 'namespace', 'job', 'instance']
/** A metric of Prometheus itself. */
const ALERTS = new Map(['alertname', 'alertstate', 'severity'].map(label => [label, new Set<string>()]))

async function scrapeOfRunningService(): Promise<string> {
  const [redis, receiver] = await Promise.all([startRedis(), startReceiver(answers(200))])
  const cio = await startCustomerIo(t)
  cio.appKeys.add('app-key')
  cio.webhooks.push(fakeWebhook())
  const connection = { source: 'default', endpoint: ENDPOINT, events: undefined, webhook: '7' }
  await rememberConnection(redis.client, 'cio:', connection)
  const result = { at: Date.now(), finished: { at: Date.now(), toSeconds: 0, missing: { email: 1 } } }
  await writeResult(redis.client, 'cio:', result)
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_APP_API_KEY: 'app-key',
    CIO_APP_URL: cio.appUrl,
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  })
  t.teardown(async () => {
    await service.close()
    await Promise.all([redis.stop(), receiver.stop()])
  })
  await service.post('{"event_id":"1"}')
  await service.post('[]')
  await service.post('{}', {})
  return until(
    'the consumer and the webhook are known',
    async () => {
      const scrape = await (await fetch(`${service.url}/metrics`)).text()
      return (
        ['cio_consumer_lag{', 'cio_reporting_webhook{', 'cio_missing_events{'].every(each =>
          scrape.includes(each)
        ) && scrape
      )
      // A check that fails, for example because the machine is busy, is repeated after a minute.
    },
    100_000
  )
}

const known = new Map<string, LabelValues>([
  ...seriesOfScrape(await scrapeOfRunningService()),
  ['ALERTS', ALERTS]
])
const rules = deliveredRules()
// A recorded metric has the labels by which its rule groups, or those of the metrics it is made of.
for (const { record, expr } of rules) {
  if (record === undefined) continue
  const labels = [...groupingLabelsOf(expr), ...selectorsOf(expr).flatMap(({ metric }) => labelsOf(metric))]
  known.set(record, new Map(labels.map(label => [label, new Set<string>()])))
}

function labelsOf(metric: string): readonly string[] {
  return [...(known.get(metric)?.keys() ?? [])]
}

/** What an expression names and no service has. */
function unknownIn(expr: string, legend = ''): readonly string[] {
  const selectors = selectorsOf(expr)
  const labels = new Set([...TARGET_LABELS, ...selectors.flatMap(({ metric }) => labelsOf(metric))])
  const used = [
    ...groupingLabelsOf(expr),
    ...[...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
  ]
  return [
    ...selectors.flatMap(({ metric, matchers }) => {
      const series = known.get(metric)
      if (series === undefined) return [metric]
      return matchers.flatMap(([label, , value]) => {
        if (TARGET_LABELS.includes(label)) return []
        const values = series.get(label)
        if (values === undefined) return [`${metric}{${label}}`]
        // A variable of Grafana, or a metric that Prometheus makes.
        if (value.startsWith('$') || values.size === 0) return []
        return value
          .split('|')
          .filter(part => !values.has(part))
          .map(part => `${metric}{${label}="${part}"}`)
      })
    }),
    ...used.filter(label => !labels.has(label))
  ]
}

t.test('every metric, label and label value in a rule exists in a running service', async t => {
  for (const { record, alert, expr, annotations } of rules) {
    const text = Object.values(annotations ?? {}).join('\n')
    const used = [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => `{{${label}}}`).join()
    t.same(unknownIn(expr, used), [], alert ?? record ?? '')
  }
})

t.test('every metric, label and label value in a dashboard exists in a running service', async t => {
  for (const dashboard of deliveredDashboards()) {
    for (const { where, expr, legend } of expressionsOf(dashboard)) t.same(unknownIn(expr, legend), [], where)
    const variables = dashboard[1].templating.list.flatMap(({ definition }) => definition ?? [])
    for (const definition of variables) {
      const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? []
      t.ok(known.get(metric)?.has(label) || (known.has(metric) && TARGET_LABELS.includes(label)), definition)
    }
  }
})

t.test('an unknown metric, label or value is found', async t => {
  t.same(unknownIn('sum by (source) (rate(cio_delivery_total{source="default"}[5m]))'), [
    'cio_delivery_total',
    'source'
  ])
  t.same(unknownIn('cio_deliveries_total{outcome="refused", partition="0"}', '{{reason}}'), [
    'cio_deliveries_total{outcome="refused"}',
    'cio_deliveries_total{partition}',
    'reason'
  ])
})
