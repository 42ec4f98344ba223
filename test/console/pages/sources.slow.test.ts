import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startTestConsole, type TestConsole } from '../../helpers/console.ts'
import { flushedRedis, startRedis } from '../../helpers/redis.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { KEY, newBody, signBody, signCdp, signV0, WEBHOOK_PATH } from '../../helpers/sign.ts'

const redis = await flushedRedis(t)
const PREVIOUS = 'the-previous-key'
const SHOP_KEY = 'the-key-of-the-shop'

async function sectionOf({ client }: TestConsole, source: string): Promise<string> {
  const { text } = await client().get('/sources')
  const section =
    new RegExp(`<section class="source" id="source-${source}".*?</section>`, 's').exec(text)?.[0] ?? ''
  return section.replace(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ')
}

function sourcesFile(): string {
  const path = join(temporaryFolder(), 'sources.json')
  writeFileSync(path, JSON.stringify({ sources: [{ name: 'shop', secret: SHOP_KEY, schemes: ['cdp'] }] }))
  return path
}

t.test(
  'each source has its schemes, policy, outcomes, keys, rotation and refusals, and no secret',
  async t => {
    const running = await startTestConsole(redis.url, {
      CIO_WEBHOOK_SECRET_PREVIOUS: PREVIOUS,
      CIO_SOURCES_FILE: sourcesFile(),
      CIO_ALLOWED_IPS: '127.0.0.1,192.0.2.0/24',
      TRUSTED_PROXIES: '127.0.0.1',
      DATA_DIR: temporaryFolder()
    })
    const { service } = running
    t.teardown(service.close)
    for (const key of [KEY, KEY, PREVIOUS]) {
      const body = newBody()
      await service.post(body, signV0(body, key))
    }
    await service.post('not JSON')
    await service.post(newBody(), { 'x-cio-signature': 'short' })
    await service.post(newBody(), signBody('another body'))
    const refused = newBody()
    await service.post(refused, { ...signV0(refused), 'x-forwarded-for': '203.0.113.9' })
    const event = newBody()
    await service.post(event, signCdp(event, SHOP_KEY), `${WEBHOOK_PATH}/shop`)

    const id = '[0-9a-f]{8}'
    // Outcomes and key usage are written once per second each, and the page shows a status of up to 5 s ago.
    const expected = [
      /accepted 200 3 parked 200 1 signature invalid 401 2 source forbidden 403 1/,
      new RegExp(`${id} current 4 4 .* ago 1 of 1 replica ${id} previous 1 1 .* ago 1 of 1 replica`)
    ]
    const section = await until('the counts', async () => {
      const text = await sectionOf(running, 'default')
      return expected.every(pattern => pattern.test(text)) && text
    })
    t.match(
      section,
      /Path \/api\/cio\/webhook Signature schemes v0, body PII policy customerio Event id event_id/
    )
    t.match(
      section,
      /A rotation is in progress: the old key .* When nothing needs it: cio-webhook rotate finish webhook-key/
    )
    t.match(section, /malformed 1 1/)
    t.match(section, /mismatch 1 1/)
    t.match(
      section,
      /1 authentic delivery came from an address that is not allowed, and got 403\. Fix: add the address/
    )
    const shop = await until('the counts of the other source', async () => {
      const text = await sectionOf(running, 'shop')
      return /accepted 200 1 .* current 1 1/.test(text) && text
    })
    t.match(shop, /Path \/api\/cio\/webhook\/shop Signature schemes cdp PII policy pipelines/)
    t.match(shop, /accepted 200 1 .* current 1 1 .*No rotation in progress/)
    const { text } = await running.client().get('/sources')
    t.match(text, /only 127\.0\.0\.1, 192\.0\.2\.0\/24 may deliver/)
    for (const secret of [KEY, PREVIOUS, SHOP_KEY]) t.notMatch(text, secret)
  }
)

t.test('while Redis is down, the page has what the configuration says, and the cause', async t => {
  const own = await startRedis()
  const running = await startTestConsole(own.url, { DATA_DIR: temporaryFolder() })
  t.teardown(running.service.close)
  await own.stop('SIGKILL')
  await until('the cause', async () => /ECONNREFUSED/.test((await running.client().get('/sources')).text))
  const section = await sectionOf(running, 'default')
  t.match(section, /Signature schemes v0, body/)
  t.match(section, /[0-9a-f]{8} current – – – –/)
})
