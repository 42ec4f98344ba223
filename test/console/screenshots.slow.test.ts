import type { Page } from 'playwright-core'
import t from 'tap'
import { screenshot, startBrowser } from '../helpers/browser.ts'
import { startTestConsole } from '../helpers/console.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { flushedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { signV0, unixNow } from '../helpers/sign.ts'

// The pictures of docs/console.md, of an afternoon on which one consumer fails. SCREENSHOTS=1 writes them.
t.setTimeout(600_000)
const redis = await flushedRedis(t)
const browser = await startBrowser(t)

const METRICS = ['sent', 'delivered', 'opened', 'clicked', 'bounced'] as const
const CUSTOMERS = ['4711', '4825', '1093', '7702', '3318'] as const
const at = <T>(list: readonly [T, ...T[]], n: number): T => list[n % list.length] ?? list[0]

function delivery(n: number): string {
  const customer = at(CUSTOMERS, n)
  return JSON.stringify({
    event_id: `01KASN0R00Z3NDEKTSV4RRF${String(n).padStart(3, '0')}`,
    object_type: 'email',
    metric: at(METRICS, n),
    timestamp: unixNow() - 1,
    data: {
      customer_id: customer,
      identifiers: { id: customer },
      campaign_id: 23,
      recipient: `customer-${customer}@example.com`,
      subject: 'Your order is on its way'
    }
  })
}

/** An hour of deliveries for the chart: the counts of the last minute, in each minute before it, more or less. */
async function addHistory(): Promise<void> {
  const [key, counts] = await until('counts of a minute', async () => {
    const key = (await redis.client.keys('cio:{deliveries}:minute:*')).sort().at(-1) ?? ''
    const counts = Object.entries(await redis.client.hgetall(key))
    return counts.some(([field]) => field.includes('signature')) && ([key, counts] as const)
  })
  const newest = Number(key.split(':').at(-1))
  for (let minute = 1; minute < 60; minute++) {
    const factor = 1 + ((minute * 7) % 5) / 4
    const rows = counts
      .filter(([field]) => minute % 9 === 0 || !/parked|signature|mismatch/.test(field))
      .map(([field, count]) => [field, String(Math.round(Number(count) * factor))] as const)
    await redis.client.hset(`cio:{deliveries}:minute:${newest - 60 * minute}`, Object.fromEntries(rows))
  }
}

t.test('the pictures of the documentation show a console with data', async t => {
  const good = await startReceiver(answers(204))
  const bad = await startReceiver(answers(422))
  t.teardown(good.stop)
  t.teardown(bad.stop)
  const { service, url } = await startTestConsole(redis.url, {
    CONSUMERS_FILE: consumersFile(
      httpConsumer('analytics', good.url),
      httpConsumer('crm', bad.url, { types: ['email.*'], maxAttempts: 2, retryDelayMs: 500 }),
      httpConsumer('warehouse', good.url)
    )
  })
  t.teardown(service.close)
  for (let n = 0; n < 40; n++) t.equal((await service.post(delivery(n))).status, 200)
  for (const body of ['{"event_id": "01KASN0R", broken', '[]', 'customer_id=4711']) {
    t.match((await service.post(body)).body, { status: 'parked' })
  }
  await service.post(delivery(0))
  t.equal((await service.post(delivery(1), signV0('another body'))).status, 401)
  await until('dead letters', async () => (await redis.client.xlen('cio:dead:crm')) === 40)
  // Events that are retried, as during an outage.
  for (let n = 40; n < 45; n++) await service.post(delivery(n))
  await addHistory()

  for (const colours of ['light', 'dark'] as const) {
    const page = await browser.open({ colours })
    await page.goto(url)
    await page.locator('#chart canvas').waitFor()
    await page.locator('.problem', { hasText: /crm has 4\d dead letters/ }).waitFor()
    await page.locator('.problem', { hasText: '3 authentic deliveries are parked' }).waitFor()
    await page.locator('.problem.error', { hasText: 'crm has been failing' }).waitFor()
    await screenshot(page, `overview-${colours}`, { height: 1250 })
    if (colours === 'light') await pagesOf(page, url)
    await page.context().close()
  }
  browser.expectCalm(t)

  async function pagesOf(page: Page, url: string): Promise<void> {
    await page.goto(`${url}/events`)
    t.equal(await page.getByRole('row').count(), 46)
    await screenshot(page, 'events')

    await page.goto(`${url}/events/01KASN0R00Z3NDEKTSV4RRF014`)
    t.match(await page.locator('.consumer', { hasText: 'crm' }).textContent(), /dead.*status 422/s)
    await screenshot(page, 'event', { height: 1150 })

    await page.goto(`${url}/consumers/crm`)
    t.match(await page.locator('main').textContent(), /failing/)
    await screenshot(page, 'consumer')

    await page.goto(`${url}/consumers/crm/dead-letters`)
    t.ok((await page.getByRole('row').count()) > 40)
    await screenshot(page, 'dead-letters')

    await page.goto(`${url}/parked`)
    t.equal(await page.getByRole('row').count(), 4)
    await screenshot(page, 'parked', { height: 500 })
  }
})
