import { networkInterfaces } from 'node:os'
import type { Page } from 'playwright-core'
import t from 'tap'
import { expectAccessible, startBrowser } from '../helpers/browser.ts'
import { PASSWORD, startTestConsole, VIEWER_PASSWORD } from '../helpers/console.ts'
import { appendEvent } from '../helpers/log.ts'
import { flushedRedis } from '../helpers/redis.ts'

const redis = await flushedRedis(t)
const browser = await startBrowser(t)

/** The pages of the navigation, and those without an entry in it. */
const pages = { overview: '/', sources: '/sources', audit: '/audit' } as const

async function logIn(page: Page, url: string, password = PASSWORD): Promise<void> {
  await page.goto(`${url}/log-in`)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

t.test(
  'every page is accessible in light and dark, on a desk and on a phone, without complaints',
  async t => {
    const { service, url } = await startTestConsole(redis.url)
    t.teardown(service.close)
    await redis.client.xgroup('CREATE', 'cio:events:{0}', 'reports', '0', 'MKSTREAM')
    for (const id of ['first', 'second']) await appendEvent(redis.client, { id })
    for (const colours of ['light', 'dark'] as const) {
      const page = await browser.open({ colours })
      await page.goto(`${url}/log-in`)
      await expectAccessible(t, page, `log-in, ${colours}`)
      await logIn(page, url)
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(`${url}${path}`)
        await page.setViewportSize({ width: 1280, height: 800 })
        await expectAccessible(t, page, `${name}, ${colours}`)
        await page.setViewportSize({ width: 360, height: 740 })
        await expectAccessible(t, page, `${name}, ${colours}, 360 px`)
      }
      browser.expectCalm(t)
      await page.context().close()
    }
  }
)

t.test('the error page is accessible', async t => {
  const { service, url } = await startTestConsole(redis.url, {})
  t.teardown(service.close)
  const page = await browser.open({ statusErrors: true })
  await page.goto(`${url}/nothing`)
  t.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Not found')
  await expectAccessible(t, page, 'error page')
  browser.expectCalm(t)
})

t.test('a wrong password is refused in words, a viewer sees the pages, and log-out ends it', async t => {
  const { service, url } = await startTestConsole(redis.url)
  t.teardown(service.close)
  const page = await browser.open({ javaScript: false, statusErrors: true })
  await logIn(page, url, 'not the password')
  t.equal(await page.getByRole('alert').textContent(), 'Wrong password.')
  await page.getByLabel('Password').fill(VIEWER_PASSWORD)
  await page.getByRole('button', { name: 'Log in' }).click()
  t.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Overview')
  t.equal(await page.locator('.me .pill').textContent(), 'viewer')
  await page.getByRole('link', { name: 'Audit' }).click()
  t.match(await page.getByRole('table').textContent(), /log_in_refused/)
  await page.getByRole('button', { name: 'Log out' }).click()
  t.equal(new URL(page.url()).pathname, '/log-in')
})

t.test('without TLS and not on loopback, where browsers send no sec-fetch-site, the forms work', async t => {
  const address = Object.values(networkInterfaces())
    .flat()
    .find(one => one !== undefined && !one.internal && one.family === 'IPv4')?.address
  if (address === undefined) return t.pass('this machine has only loopback')
  const { service } = await startTestConsole(redis.url, {
    CONSOLE_PASSWORD: PASSWORD,
    CONSOLE_HOST: '0.0.0.0'
  })
  t.teardown(service.close)
  // Of its own: it says that without TLS some headers have no effect.
  const page = await (await startBrowser(t)).open()
  await logIn(page, `http://${address}:${service.consolePort}`)
  t.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Overview')
  await page.context().close()
})

t.test('the overview shows new events without a reload', async t => {
  const { service, url } = await startTestConsole(redis.url)
  t.teardown(service.close)
  const page = await browser.open()
  await logIn(page, url)
  const events = page.locator('.figure', { hasText: 'Events in the log' })
  t.match(await events.textContent(), /log01 partition/)
  await appendEvent(redis.client, { id: 'live' })
  await events.filter({ hasText: 'log11 partition' }).waitFor({ timeout: 10_000 })
  await page.context().close()
  browser.expectCalm(t)
})

t.test('the colours can be chosen without JavaScript', async t => {
  const { service, url } = await startTestConsole(redis.url, {})
  t.teardown(service.close)
  const page = await browser.open({ javaScript: false })
  await page.goto(url)
  await page.getByRole('button', { name: 'Dark', exact: true }).click()
  t.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
  await page.getByRole('button', { name: 'As the system' }).click()
  t.equal(await page.locator('html').getAttribute('data-theme'), 'auto')
})

t.test('a consumer whose name is markup is shown as text', async t => {
  const { service, url } = await startTestConsole(redis.url, {})
  t.teardown(service.close)
  const name = `<img src=x onerror=alert(1)>"'`
  await redis.client.xgroup('CREATE', 'cio:events:{0}', name, '0', 'MKSTREAM')
  const page = await browser.open()
  await page.goto(url)
  t.equal(await page.getByRole('cell', { name, exact: true }).textContent(), name)
  t.equal(await page.locator('td img').count(), 0)
  browser.expectCalm(t)
})
