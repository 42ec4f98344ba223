// Tested by test/console/pages/overview.slow.test.ts and test/console/pages/overview-browser.slow.test.ts.

import { withTimeout } from '../../async/abort.ts'
import { counted } from '../../counted.ts'
import { type DeliveryStats, readDeliveryStats, readLastDeliveries } from '../../receive/delivery-stats.ts'
import type { Problem } from '../../tools/status/facts.ts'
import { assetPath } from '../assets.ts'
import { problem, time } from '../components.ts'
import type { ConsoleContext, ConsolePage } from '../context.ts'
import { type Html, html } from '../html.ts'
import { sendPage } from '../layout.ts'
import type { ConsoleStatus } from '../status.ts'
import { chartData, chartPicture, chartTable, summaryOf } from './overview-chart.ts'
import { headline } from './overview-headline.ts'
import {
  consumers,
  figures,
  keysInUse,
  partitions,
  published,
  redisFacts,
  replicas
} from './overview-parts.ts'

const LIVE_PATH = '/live/overview'
const HOUR_MS = 60 * 60 * 1000
/** The page must not hang while Redis does. */
const LIMIT_MS = 2500

interface Overview {
  readonly atMs: number
  readonly status: ConsoleStatus
  /** `undefined` if Redis does not answer. */
  readonly deliveries: { readonly hour: DeliveryStats; readonly lastAtMs: number | undefined } | undefined
}

/** Whether Customer.io is getting through, what does not work, and what to do. Live where JavaScript runs. */
export const overviewPage: ConsolePage = (app, context) => {
  app.get('/', { config: { access: 'viewer' } }, async (request, reply) => {
    const overview = await readOverview(context)
    // The chart is drawn once. Live updates change its data, and leave the element as it is.
    const chart = chartPicture(overview.deliveries?.hour.rows ?? [])
    const body = html`<link rel="stylesheet" href="${assetPath('uplot.css')}">
<div id="overview" hx-sse:connect="${LIVE_PATH}" hx-swap="innerMorph">${overviewHtml(overview, chart)}</div>
<noscript><p class="lead">As of ${time(overview.atMs)}. Reload the page for newer figures: live updates need JavaScript.</p></noscript>
<script src="${assetPath('uplot.js')}" defer></script>
<script src="${assetPath('chart.js')}" defer></script>`
    return sendPage(request, reply, { title: 'Overview', current: '/' }, body)
  })
  context.live.route(LIVE_PATH, 'viewer', async () => overviewHtml(await readOverview(context), undefined))
}

async function readOverview(context: ConsoleContext): Promise<Overview> {
  const [status, deliveries] = await Promise.all([
    context.status(),
    context.isRedisUp()
      ? withTimeout(
          LIMIT_MS,
          readDeliveries(context).catch(() => undefined) // the status has the cause
        )
      : undefined
  ])
  return { atMs: context.now(), status, deliveries }
}

async function readDeliveries({ redis, config, now }: ConsoleContext): Promise<Overview['deliveries']> {
  const { keyPrefix } = config.log
  const nowMs = now()
  const [hour, last] = await Promise.all([
    readDeliveryStats(redis, keyPrefix, { fromMs: nowMs - HOUR_MS, toMs: nowMs }),
    readLastDeliveries(redis, keyPrefix)
  ])
  const times = [...last.values()].map(({ atMs }) => atMs)
  return { hour, lastAtMs: times.length === 0 ? undefined : Math.max(...times) }
}

function overviewHtml({ atMs, status, deliveries }: Overview, chart: Html | undefined): Html {
  const hour = deliveries?.hour
  const rows = hour?.rows ?? []
  const answer = headline(status, deliveries && { rows, lastAtMs: deliveries.lastAtMs }, atMs)
  return html`<section class="headline ${answer.tone}" aria-label="Is Customer.io getting through?"><h2>${answer.text}</h2>${
    answer.note === undefined ? undefined : html`<p>${answer.note}</p>`
  }</section>
${problems(status.problems)}
${figures(status, hour)}
<h2>Deliveries of the last hour</h2>
<div id="chart" class="chart" hx-morph-skip>${chart}</div>
<div id="chart-data" data-chart="${JSON.stringify(chartData(rows))}" data-summary="${summaryOf(rows)}" hidden></div>
<h2>Redis</h2>${redisFacts(status)}
${status.redis.state === 'up' ? partitions(status) : undefined}
<h2>Keys in use</h2>${keysInUse(status)}
<h2>Consumers</h2>${consumers(status)}
<h2>Replicas</h2>${replicas(status)}
<h2>Source addresses</h2>${published(status)}
<h2>Deliveries of the last hour in figures</h2>${chartTable(rows)}`
}

function problems(found: readonly Problem[]): Html {
  if (found.length === 0) return html`<p class="lead">No problems.</p>`
  return html`<h2>${counted(found.length, 'problem')}</h2>
${found.map(({ severity, summary, consequence, fix }) => problem(severity, summary, consequence, `Fix: ${fix}`))}`
}
