import type { Page } from 'playwright-core'
import t from 'tap'
import { expectAccessible, startBrowser } from '../../helpers/browser.ts'
import { PASSWORD, startTestConsole } from '../../helpers/console.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { appendEvent } from '../../helpers/log.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { flushedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

const redis = await flushedRedis(t)
const browser = await startBrowser(t)

async function logIn(page: Page, url: string): Promise<void> {
  await page.goto(`${url}/log-in`)
  await page.getByLabel('Password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Log in' }).click()
}

const delivery = (id: string, customer: string): string =>
  `{"event_id":"${id}","object_type":"email","metric":"opened","timestamp":${Math.floor(Date.now() / 1000) - 90},"data":{"customer_id":"${customer}","delivery_id":"RPILAgUBcRhIBqSfeiIwdIYJKxTY","campaign_id":23,"amount":8202522731445525542.10,"subject":"Hello"}}`

for (const javaScript of [true, false]) {
  t.test(
    `an event is found by its customer, shown with its path, and sent again, ${javaScript ? 'with' : 'without'} JavaScript`,
    async t => {
      const [crm, failing] = [await startReceiver(answers(200)), await startReceiver(answers(503))]
      t.teardown(() => Promise.all([crm.stop(), failing.stop()]))
      const { service, url } = await startTestConsole(redis.url, {
        CONSOLE_PASSWORD: PASSWORD,
        CONSUMERS_FILE: consumersFile(
          httpConsumer('crm', crm.url),
          httpConsumer('reports', failing.url, { maxAttempts: 1 }),
          httpConsumer('warehouse', failing.url, { retryDelayMs: 3_600_000 }),
          httpConsumer('push-only', crm.url, { types: ['push.*'] })
        )
      })
      t.teardown(service.close)
      for (const [id, customer] of [
        ['first', '41'],
        ['wanted', '42'],
        ['last', '43']
      ] as const) {
        t.equal((await service.post(delivery(id, customer))).status, 200)
      }
      await until('all deliveries', async () => crm.requests.length === 3 && failing.requests.length >= 2)

      const page = await browser.open({ javaScript })
      await logIn(page, url)
      await page.getByRole('link', { name: 'Events', exact: true }).click()
      t.equal(await page.getByRole('row').count(), 4)
      await page.getByLabel('Customer id').fill('42')
      await page.getByRole('button', { name: 'Search', exact: true }).click()
      t.equal(new URL(page.url()).search, '?customer=42')
      t.equal(await page.getByRole('row').count(), 2)
      await page.getByRole('link', { name: 'wanted' }).click()
      await until('all attempts', async () => {
        await page.reload()
        return (await page.getByRole('cell', { name: '503' }).count()) === 2
      })
      t.equal(await page.title(), 'Event wanted – cio-webhook')
      const path = new URL(page.url()).pathname
      t.match(path, /^\/events\/0-\d+-\d+$/)
      const json = page.getByRole('region', { name: 'The event as JSON' })
      const shown: { data: { data: { campaign_id: number } } } = JSON.parse((await json.textContent()) ?? '')
      t.equal(shown.data.data.campaign_id, 23, 'what is copied is the JSON')
      t.match(await json.textContent(), '8202522731445525542.10')
      t.equal(await json.locator('.json-name', { hasText: '"campaign_id"' }).count(), 1)
      t.match(await page.locator('.consumer', { hasText: 'reports' }).textContent(), /dead.*status 503/s)
      t.match(
        await page.locator('.consumer', { hasText: 'warehouse' }).textContent(),
        /waiting.*Next attempt/s
      )

      await page.getByLabel('Send again to').selectOption('crm')
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.getByRole('link', { name: 'Cancel' }).click()
      t.equal(new URL(page.url()).pathname, path)
      await page.getByLabel('Send again to').selectOption('crm')
      await page.getByRole('button', { name: 'Continue' }).click()
      if (javaScript) await expectAccessible(t, page, 'send again')
      await page.getByRole('button', { name: 'Send again to crm' }).click()
      t.match(await page.getByRole('status').textContent(), 'crm gets the event again')
      await until('the event again', async () => crm.requests.length === 4)
      t.equal(crm.requests[3]?.headers['webhook-id'], 'wanted')
      t.match(JSON.parse(crm.requests[3]?.body ?? ''), { id: 'wanted', subject: '42' })
      await page.getByRole('link', { name: 'Audit' }).click()
      t.match(await page.getByRole('table').textContent(), `event_sent_again${path.slice(8)} to crm`)

      for (const colours of javaScript ? (['light', 'dark'] as const) : []) {
        const other = await browser.open({ colours, statusErrors: true })
        await logIn(other, url)
        for (const [name, address] of [
          ['events', '/events'],
          ['event', path],
          ['no result', '/events?customer=nobody'],
          ['a refused search', '/events?type=a.b.c']
        ] as const) {
          await other.goto(`${url}${address}`)
          for (const width of [1280, 360, 1600]) {
            await other.setViewportSize({ width, height: 800 })
            if (name !== 'a refused search')
              await expectAccessible(t, other, `${name}, ${colours}, ${width} px`)
          }
        }
        await other.context().close()
      }
      await page.context().close()
      browser.expectCalm(t)
    }
  )
}

t.test('new events appear at the top until live is turned off; a filter applies to them', async t => {
  const { service, url } = await startTestConsole(redis.url, { CONSOLE_PASSWORD: PASSWORD })
  t.teardown(service.close)
  for (let index = 0; index < 60; index++)
    await appendEvent(redis.client, { id: `old-${index}`, subject: '1' })
  const page = await browser.open()
  await logIn(page, url)
  const filtered = await page.context().newPage()
  await page.goto(`${url}/events`)
  await filtered.goto(`${url}/events?customer=7`)
  await filtered.getByText('No events match').waitFor()
  await appendEvent(redis.client, { id: 'new-1', subject: '1' })
  await appendEvent(redis.client, { id: 'new-7', subject: '7' })
  await page.getByRole('link', { name: 'new-7' }).waitFor({ timeout: 10_000 })
  t.match(await page.getByRole('row').nth(1).textContent(), 'new-7')
  t.equal(await page.getByRole('row').count(), 51, 'still one page')
  await filtered.bringToFront()
  await filtered.getByRole('link', { name: 'new-7' }).waitFor({ timeout: 10_000 })
  t.equal(await filtered.getByRole('row').count(), 2)

  await page.bringToFront()
  await page.getByRole('link', { name: 'Older' }).click()
  t.match(await page.getByRole('row').nth(1).textContent(), 'old-11', 'no event is missing between the pages')
  await page.getByRole('link', { name: 'Newest' }).click()
  await page.getByRole('link', { name: 'Turn off' }).click()
  await appendEvent(redis.client, { id: 'unseen', subject: '1' })
  await new Promise(resolve => setTimeout(resolve, 4500))
  t.equal(await page.getByRole('link', { name: 'unseen' }).count(), 0)
  await page.getByRole('link', { name: 'Turn on' }).click()
  await page.getByRole('link', { name: 'unseen' }).waitFor()
  await page.context().close()
  browser.expectCalm(t)
})

t.test('a search by address leaves no trace of it in the address bar, on any page of it', async t => {
  const { service, url } = await startTestConsole(redis.url, { CONSOLE_PASSWORD: PASSWORD })
  t.teardown(service.close)
  for (let index = 0; index < 60; index++) {
    await service.post(
      `{"event_id":"e${index}","object_type":"email","metric":"sent","timestamp":1795510800,"data":{"customer_id":"1","identifiers":{"email":"ada@example.com"}}}`
    )
  }
  const page = await browser.open()
  await logIn(page, url)
  const requested: string[] = []
  page.on('request', request => requested.push(request.url()))
  await page.goto(`${url}/events`)
  await page.getByLabel('E-mail address').fill('ada@example.com')
  await page.getByRole('button', { name: 'Search', exact: true }).click()
  t.equal(await page.getByRole('row').count(), 51)
  await page.getByRole('button', { name: 'Older' }).click()
  t.equal(await page.getByRole('row').count(), 11)
  await expectAccessible(t, page, 'a search by address')
  t.equal(page.url(), `${url}/events`)
  t.same(
    requested.filter(address => /ada/i.test(address)),
    []
  )
  await page.context().close()
  browser.expectCalm(t)
})

t.test('an event full of markup and of characters that change the direction stays text', async t => {
  const { service, url } = await startTestConsole(redis.url, { CONSOLE_PASSWORD: PASSWORD })
  t.teardown(service.close)
  const evil = `"'><img src=x onerror=document.title=1><script>document.title=2</script>\u202e`
  const event = {
    specversion: '1.0',
    id: evil,
    source: `/customerio/${evil}`,
    type: evil,
    subject: evil,
    time: evil,
    data: { [evil]: [evil] }
  }
  const id = await redis.client.xadd('cio:events:{0}', '*', 'type', evil, 'event', JSON.stringify(event))
  await redis.client.xgroup('CREATE', 'cio:events:{0}', evil, '0')
  await redis.client.xreadgroup('GROUP', evil, evil, 'STREAMS', 'cio:events:{0}', '>')
  const page = await browser.open()
  await logIn(page, url)
  await page.goto(`${url}/events`)
  t.equal(await page.getByRole('cell', { name: evil, exact: true }).count(), 4)
  await page.getByRole('row').nth(1).getByRole('link').last().click()
  await page.waitForURL(/\/events\/0-/)
  t.equal(await page.title(), `Event ${evil} – cio-webhook`)
  t.equal(new URL(page.url()).pathname, `/events/0-${id}`)
  t.equal(await page.locator('main img, main script').count(), 0)
  const json = await page.getByRole('region', { name: 'The event as JSON' }).textContent()
  t.same(JSON.parse(json ?? ''), event)
  await page.getByRole('link', { name: 'All positions of this id' }).click()
  t.equal(await page.getByLabel('Event id').inputValue(), evil)
  t.equal(await page.getByRole('row').count(), 2)
  await page.context().close()
  browser.expectCalm(t)
})
