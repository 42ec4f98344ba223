import type { Page } from 'playwright-core'
import t from 'tap'
import { bestTime } from '../../helpers/best-time.ts'
import { expectAccessible, startBrowser } from '../../helpers/browser.ts'
import { startTestConsole } from '../../helpers/console.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { flushedRedis, startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { newBody, signV0 } from '../../helpers/sign.ts'

t.setTimeout(600_000)
const redis = await flushedRedis(t)
const browser = await startBrowser(t)

const headlineOf = (page: Page) => page.locator('.headline')
const LIVE = { timeout: 15_000 }

t.test('a delivery is on the open page without a reload: headline, figures, chart and table', async t => {
  const { service, url } = await startTestConsole(redis.url, {})
  t.teardown(service.close)
  const page = await browser.open()
  await page.goto(url)
  t.match(await headlineOf(page).textContent(), /^No delivery yet\./)
  await page.locator('#chart canvas').waitFor()
  await page.evaluate('window.isSamePage = true')
  for (let n = 0; n < 3; n++) await service.post(newBody())
  await service.post(newBody(), signV0('another body'))

  await headlineOf(page).filter({ hasText: 'Customer.io is getting through: 3 deliveries' }).waitFor(LIVE)
  await page
    .locator('.figure', { hasText: 'Events in the log' })
    .filter({ hasText: 'log31 partition' })
    .waitFor(LIVE)
  await page.locator('#chart[aria-label*="Accepted 3,"][aria-label*="Refused 1,"]').waitFor(LIVE)
  t.match(await page.locator('#chart .u-legend').textContent(), /Accepted.*Refused.*|Refused.*Accepted/)
  const cells = page
    .getByRole('table', { name: 'Deliveries of the last hour, per five minutes' })
    .locator('tbody tr')
    .first()
  t.match(await cells.textContent(), /^\d\d:\d\d3001?0/)
  t.equal(await page.locator('#chart canvas').count(), 1, 'the chart is drawn once')
  t.equal(await page.evaluate('window.isSamePage'), true)
  await page.context().close()
  browser.expectCalm(t)
})

t.test('while Redis is down, the open page says why, and it recovers by itself', async t => {
  const own = await startRedis()
  const { service, url } = await startTestConsole(own.url, {})
  t.teardown(service.close)
  const page = await browser.open()
  await page.goto(url)
  await service.post(newBody())
  await headlineOf(page).filter({ hasText: 'getting through' }).waitFor(LIVE)
  await own.stop('SIGKILL')
  await headlineOf(page)
    .filter({ hasText: `Deliveries get 503. Redis at 127.0.0.1:${own.port}: ECONNREFUSED` })
    .waitFor(LIVE)
  await page.locator('.problem.error', { hasText: 'cannot reach Redis' }).waitFor(LIVE)
  await expectAccessible(t, page, 'Redis is down')

  const fresh = await browser.open({ javaScript: false })
  const tookMs = await bestTime(4000, () => fresh.goto(url))
  t.ok(tookMs < 4000, `a new page is there at once: ${tookMs} ms`)
  t.match(await headlineOf(fresh).textContent(), /Deliveries get 503/)
  await fresh.context().close()

  const again = await startRedis({}, { port: own.port })
  t.teardown(() => again.stop())
  await headlineOf(page).filter({ hasText: 'No delivery yet' }).waitFor(LIVE)
  t.equal(await page.locator('.problem.error').count(), 0)
  await page.context().close()
  browser.expectCalm(t)
})

t.test('a failing consumer becomes a problem on the open page, and vanishes', async t => {
  const target = await startReceiver(answers(500))
  t.teardown(target.stop)
  const { service, url } = await startTestConsole(redis.url, {
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', target.url))
  })
  t.teardown(service.close)
  const page = await browser.open()
  await page.goto(url)
  const problem = (text: string) => page.locator('.problem', { hasText: text })

  await service.post(newBody())
  await problem('crm has been failing').waitFor(LIVE)
  await page.getByRole('row', { name: /crm.*failing/ }).waitFor(LIVE)
  target.behave(answers(204))
  await until('the retry', async () => target.requests.length > 1, 60_000)
  await problem('crm').waitFor({ state: 'detached', ...LIVE })
  await page.context().close()
  browser.expectCalm(t)
})

t.test('a wrong key is the headline of the open page until deliveries are accepted again', async t => {
  // Only failures from listed addresses count: anybody can send a wrong signature.
  const { service, url } = await startTestConsole(redis.url, { CIO_ALLOWED_IPS: '127.0.0.1' })
  t.teardown(service.close)
  const page = await browser.open()
  await page.goto(url)
  for (let n = 0; n < 3; n++) await service.post(newBody(), signV0('another body'))
  await headlineOf(page)
    .filter({ hasText: 'Customer.io is refused. 3 deliveries of the source default' })
    .waitFor(LIVE)
  await page.locator('.problem.error', { hasText: 'a signature that matches no key' }).waitFor(LIVE)
  await service.post(newBody())
  await headlineOf(page).filter({ hasText: 'Customer.io is getting through: 1 delivery' }).waitFor(LIVE)
  t.equal(await page.locator('.problem.error').count(), 0)
  await page.context().close()
  browser.expectCalm(t)
})

t.test(
  'without JavaScript the page shows the same, and is accessible in both themes and on a phone',
  async t => {
    const { service, url } = await startTestConsole(redis.url, {})
    t.teardown(service.close)
    for (let n = 0; n < 5; n++) await service.post(newBody())
    await until('the counts', async () => (await (await fetch(url)).text()).includes('5 deliveries'))
    for (const colours of ['light', 'dark'] as const) {
      const plain = await browser.open({ colours, javaScript: false })
      await plain.goto(url)
      t.match(await headlineOf(plain).textContent(), /Customer\.io is getting through: 5 deliveries/)
      t.equal(await plain.locator('#chart svg rect.series-accepted').count(), 1)
      t.match(await plain.locator('noscript').textContent(), /Reload the page/)
      const page = await browser.open({ colours })
      await page.goto(url)
      await page.locator('#chart canvas').waitFor()
      await expectAccessible(t, page, `overview, ${colours}`)
      await page.setViewportSize({ width: 360, height: 740 })
      await expectAccessible(t, page, `overview, ${colours}, 360 px`)
      await Promise.all([plain, page].map(opened => opened.context().close()))
    }
    browser.expectCalm(t)
  }
)
