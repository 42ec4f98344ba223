import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { expectAccessible, startBrowser } from '../../helpers/browser.ts'
import { startTestConsole } from '../../helpers/console.ts'
import { flushedRedis } from '../../helpers/redis.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { newBody, signBody, signV0 } from '../../helpers/sign.ts'

t.setTimeout(600_000)
const redis = await flushedRedis(t)
const browser = await startBrowser(t)
const MARKUP = '<img src=x onerror=alert(1)>'

t.test(
  'the page of sources is accessible in both themes and on a phone, and shows markup as text',
  async t => {
    const sources = join(temporaryFolder(), 'sources.json')
    writeFileSync(sources, JSON.stringify({ sources: [{ name: 'shop', secret: 'the-key-of-the-shop' }] }))
    const { service, url } = await startTestConsole(redis.url, {
      CIO_WEBHOOK_SECRET_PREVIOUS: 'the-previous-key',
      CIO_SOURCES_FILE: sources,
      DATA_DIR: temporaryFolder()
    })
    t.teardown(service.close)
    const body = newBody()
    await service.post(body, signV0(body, 'the-previous-key'))
    await service.post(body, signBody('another body'))
    // What another program could write to this Redis.
    const report = { at: Date.now(), version: MARKUP, sources: { default: [MARKUP], [MARKUP]: [MARKUP] } }
    await redis.client.hset('cio:keys:replicas', MARKUP, JSON.stringify(report))
    await redis.client.hset('cio:keys:seen', `default:${MARKUP}`, Date.now())
    await redis.client.set('cio:addresses', JSON.stringify({ at: Date.now(), addresses: [MARKUP] }))
    await until('the counts', async () => (await (await fetch(`${url}/sources`)).text()).includes('mismatch'))

    for (const colours of ['light', 'dark'] as const) {
      const page = await browser.open({ colours, javaScript: colours === 'dark' })
      await page.goto(url)
      await page.getByRole('link', { name: 'Sources', exact: true }).click()
      t.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Sources and keys')
      t.equal(await page.locator('main img').count(), 0)
      t.equal(await page.getByRole('cell', { name: MARKUP, exact: true }).count(), 3)
      if (colours === 'light') continue // axe needs JavaScript
      for (const width of [1280, 360]) {
        await page.setViewportSize({ width, height: 800 })
        await expectAccessible(t, page, `sources, ${colours}, ${width} px`)
      }
      await page.getByRole('button', { name: 'Light', exact: true }).click()
      await page.goto(`${url}/sources`)
      await expectAccessible(t, page, 'sources, light, 360 px')
      await page.context().close()
    }
    browser.expectCalm(t)
  }
)
