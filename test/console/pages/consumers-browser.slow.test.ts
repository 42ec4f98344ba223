import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { attemptHistory } from '../../../src/dispatch/attempts.ts'
import { deadLetters } from '../../../src/group/dead-letters.ts'
import { expectAccessible, startBrowser } from '../../helpers/browser.ts'
import { PASSWORD, startTestConsole, VIEWER_PASSWORD } from '../../helpers/console.ts'
import { deliveryBody } from '../../helpers/consumers.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { connectedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

t.setTimeout(600_000)

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
const browser = await startBrowser(t)
const letters = deadLetters(redis.connection, 'cio:')
const attempts = attemptHistory(redis.connection, 'cio:')

const MAX_CPU_MS = 300

const EVIL = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>"'\``

async function logIn(page: Page, url: string, password = PASSWORD): Promise<void> {
  await page.goto(`${url}/log-in`)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

async function open(t: Test, ...consumers: readonly Record<string, unknown>[]) {
  const opened = await startTestConsole(redis.url, {
    CONSOLE_PASSWORD: PASSWORD,
    CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD,
    CONSUMERS_FILE: consumersFile(...consumers)
  })
  t.teardown(opened.service.close)
  return opened
}

async function receiver(t: Test, status = 200) {
  const started = await startReceiver(answers(status))
  t.teardown(started.stop)
  return started
}

const statusLine = (page: Page) => page.getByRole('status').first().textContent()

/** Dead letters of a consumer, whose events are no longer in the log. */
async function addLetters(consumer: string, count: number): Promise<void> {
  const type = 'io.customer.email.bounced'
  const source = '/customerio/default'
  for (let first = 0; first < count; first += 500) {
    const added = Array.from({ length: Math.min(500, count - first) }, (_, index) => {
      const id = `event-${first + index}`
      const data = { specversion: '1.0', id, source, type, subject: id, data: { text: 'x'.repeat(1500) } }
      const entry = {
        position: `0-1795000000000-${first + index}`,
        type,
        event: JSON.stringify(data)
      } as const
      return letters.add(consumer, entry, { reason: 'failed', error: new Error('status 503'), attempts: 3 })
    })
    await Promise.all(added)
  }
}

/**
 * 95th percentile of what a page costs, in milliseconds. A busy machine changes the time that it takes; the processor
 * time of this process, in which the service and the test run, hardly.
 */
async function p95(
  t: Test,
  page: Page,
  path: string,
  count = 20
): Promise<{ wallMs: number; cpuMs: number }> {
  const runs: { wallMs: number; cpuMs: number }[] = []
  for (let run = 0; run < count; run++) {
    const [startedMs, before] = [performance.now(), process.cpuUsage()]
    const response = await page.context().request.get(path)
    await response.text()
    const { user, system } = process.cpuUsage(before)
    runs.push({ wallMs: performance.now() - startedMs, cpuMs: (user + system) / 1000 })
    t.equal(response.status(), 200)
  }
  const at = Math.ceil(count * 0.95) - 1
  const of = (name: 'wallMs' | 'cpuMs'): number =>
    Math.round(runs.map(one => one[name]).toSorted((a, b) => a - b)[at] ?? Number.NaN)
  return { wallMs: of('wallMs'), cpuMs: of('cpuMs') }
}

for (const javaScript of [true, false]) {
  const how = javaScript ? 'with' : 'without'
  t.test(`an operator pauses, resumes, tests and enables a consumer, ${how} JavaScript`, async t => {
    const crm = await receiver(t)
    const { service, url } = await open(t, httpConsumer('crm', crm.url))
    const page = await browser.open({ javaScript })
    await logIn(page, url)
    await page.getByRole('link', { name: 'Consumers', exact: true }).click()
    await page.getByRole('link', { name: 'crm' }).click()
    await page.getByRole('button', { name: 'Pause' }).click()
    t.match(await statusLine(page), 'Paused')
    t.equal(await redis.client.hexists('cio:paused', 'crm'), 1)
    await page.waitForTimeout(2500)
    await service.post(deliveryBody('while-paused'))
    await page.waitForTimeout(500)
    t.equal(crm.requests.length, 0)
    await page.getByRole('button', { name: 'Resume' }).click()
    await until('the event', async () => crm.requests.length === 1)
    t.equal(await redis.client.hexists('cio:paused', 'crm'), 0)

    await page.getByRole('button', { name: 'Send a test event' }).click()
    t.match(await page.getByRole('heading', { level: 2 }).first().textContent(), /accepted after \d+ ms/)
    t.equal(JSON.parse(crm.requests[1]?.body ?? '').type, 'io.customer.cio_webhook.test')
    await page.getByRole('link', { name: 'Back to crm' }).click()

    crm.behave(answers(410))
    await service.post(deliveryBody('gone'))
    await until('disabled', async () => {
      await page.reload()
      return (await page.getByRole('button', { name: 'Enable' }).count()) === 1
    })
    crm.behave(answers(200))
    const before = crm.requests.length
    await page.getByRole('button', { name: 'Enable' }).click()
    t.match(await statusLine(page), 'Enabled')
    await until('the event again', async () => crm.requests.length > before)
    if (javaScript) {
      await service.post(deliveryBody('live'))
      const rate = page.locator('.figure', { hasText: 'Events per minute' }).locator('dd')
      await until('a live figure', async () => /^[2-9]/.test((await rate.textContent()) ?? ''))
    }
    await page.context().close()
    browser.expectCalm(t)
  })

  t.test(
    `an operator replays and drops dead letters: one, chosen ones and all, ${how} JavaScript`,
    async t => {
      const crm = await receiver(t, 422)
      const { service, url } = await open(t, httpConsumer('crm', crm.url, { maxAttempts: 1 }))
      for (let index = 0; index < 6; index++) await service.post(deliveryBody(`event-${index}`))
      await until('dead letters', async () => (await letters.count('crm')) === 6)
      crm.behave(answers(200))
      const page = await browser.open({ javaScript })
      await logIn(page, url)
      await page.goto(`${url}/consumers`)
      await page.getByRole('link', { name: '6', exact: true }).click()
      const boxes = page.getByRole('checkbox')
      t.equal(await boxes.count(), 6)

      await page.getByRole('row').nth(1).getByRole('link').first().click()
      t.match(await page.getByRole('region', { name: 'The event as JSON' }).textContent(), '"event-0"')
      t.equal(await page.getByRole('cell', { name: '422' }).count(), 1)
      await page.getByRole('button', { name: 'Replay' }).click()
      t.match(await statusLine(page), '1 replayed')
      await until('the event again', async () => crm.requests.length === 7)
      t.equal(crm.requests[6]?.headers['webhook-id'], 'event-0')

      await boxes.nth(0).check()
      await boxes.nth(1).check()
      await page.getByRole('button', { name: 'Drop selected' }).click()
      await page.getByRole('link', { name: 'Cancel' }).click()
      t.equal(await letters.count('crm'), 5)
      await boxes.nth(0).check()
      await boxes.nth(1).check()
      await page.getByRole('button', { name: 'Drop selected' }).click()
      if (javaScript) await expectAccessible(t, page, 'confirmation')
      await page.getByRole('button', { name: 'Drop 2 dead letters' }).click()
      t.match(await statusLine(page), '2 dropped')
      t.equal(await letters.count('crm'), 3)

      await page.getByRole('button', { name: 'Replay all 3' }).click()
      await page.getByRole('button', { name: 'Replay 3 dead letters' }).click()
      t.match(await statusLine(page), '3 replayed')
      await until('the events', async () => crm.requests.length === 10)
      t.same(
        crm.requests.slice(7).map(({ headers }) => headers['webhook-id']),
        ['event-3', 'event-4', 'event-5']
      )
      t.equal(await letters.count('crm'), 0)
      await page.context().close()
      browser.expectCalm(t)
    }
  )
}

t.test('removing a consumer names the consequences, and an active one needs its own words', async t => {
  const crm = await receiver(t)
  const { url } = await open(t, httpConsumer('crm', crm.url))
  await redis.client.xgroup('CREATE', 'cio:events:{0}', 'old', '0', 'MKSTREAM')
  const page = await browser.open({ javaScript: false })
  await logIn(page, url)
  await until('members', async () => (await redis.client.zcard('cio:members:crm')) === 1)
  await page.goto(`${url}/consumers/crm/remove`)
  t.match(await page.locator('main').textContent(), /is active, with 1 member\./)
  t.equal(await page.getByRole('button', { name: 'Remove crm although it is active' }).count(), 1)
  await page.goto(`${url}/consumers/old`)
  await page.getByRole('link', { name: 'Remove' }).click()
  await page.getByRole('button', { name: 'Remove old' }).click()
  t.match(await statusLine(page), 'old was removed')
  const groups = JSON.stringify(await redis.client.xinfo('GROUPS', 'cio:events:{0}'))
  t.same([groups.includes('"old"'), groups.includes('"crm"')], [false, true])
  await page.context().close()
})

t.test('a thousand consumers: found by name and state, in pages, each cheap', async t => {
  const crm = await receiver(t)
  const { url } = await open(t, httpConsumer('crm', crm.url))
  await redis.client.xadd('cio:events:{0}', '*', 'type', 'a', 'event', '{}')
  const pipeline = redis.client.pipeline()
  for (let index = 0; index < 1000; index++) {
    pipeline.xgroup('CREATE', 'cio:events:{0}', `group-${String(index).padStart(4, '0')}`, '0')
  }
  await pipeline.exec()
  const page = await browser.open()
  await logIn(page, url)
  await page.goto(`${url}/consumers`)
  t.equal(await page.getByRole('row').count(), 51)
  t.match(await page.locator('main').textContent(), 'Page 1 of 21')
  await expectAccessible(t, page, 'a thousand consumers')
  await page.getByRole('link', { name: 'Next' }).click()
  t.match(await page.locator('main').textContent(), 'Page 2 of 21')
  await page.getByLabel('Name contains').fill('group-01')
  await page.getByRole('button', { name: 'Filter' }).click()
  t.match(await page.locator('main').textContent(), '100 of 1,001 consumers')
  await page.goto(`${url}/consumers?state=ok`)
  t.equal(await page.getByRole('row').count(), 2)
  for (const path of ['/consumers', '/consumers/group-0500']) {
    const { wallMs, cpuMs } = await p95(t, page, `${url}${path}`)
    t.comment(`a thousand consumers, ${path}: p95 ${wallMs} ms, processor ${cpuMs} ms`)
    t.ok(cpuMs < MAX_CPU_MS, `${path}: ${cpuMs} ms of the processor`)
  }
  await page.context().close()
  browser.expectCalm(t)
})

t.test('ten thousand dead letters: pages, filters, and a replay of all that can be interrupted', async t => {
  const crm = await receiver(t)
  const { url } = await open(t, httpConsumer('crm', crm.url, { backlog: 100, concurrency: 100 }))
  await addLetters('crm', 10_000)
  const page = await browser.open({ statusErrors: true })
  await logIn(page, url)
  await page.goto(`${url}/consumers/crm/dead-letters`)
  t.equal(await page.getByRole('row').count(), 51)
  t.match(await page.getByRole('list', { name: 'Dead letters by reason' }).textContent(), 'failed: 10,000')
  await expectAccessible(t, page, 'ten thousand dead letters')
  await page.getByRole('link', { name: 'Next' }).click()
  t.equal(await page.getByRole('link', { name: 'event-50', exact: true }).count(), 1)
  for (const query of ['', '?type=push.*']) {
    const { wallMs, cpuMs } = await p95(t, page, `${url}/consumers/crm/dead-letters${query}`)
    t.comment(`ten thousand dead letters, ${query}: p95 ${wallMs} ms, processor ${cpuMs} ms`)
    t.ok(cpuMs < MAX_CPU_MS, `${query}: ${cpuMs} ms of the processor`)
  }

  // They are no longer in the log, so each goes through the queue, which has room for 100.
  await page.goto(`${url}/consumers/crm/dead-letters`)
  await page.getByRole('button', { name: 'Replay all 10,000' }).click()
  await page.getByRole('button', { name: 'Replay 10,000 dead letters' }).click()
  t.match(await statusLine(page), /Replaying: \d+ of 10,000 handled/)
  await until('progress without a reload', async () => !(await statusLine(page))?.includes(': 0 of'))
  const second = await page.context().newPage()
  await second.goto(`${url}/consumers/crm/dead-letters`)
  await second.getByRole('button', { name: 'Replay all' }).click()
  await second.getByRole('button', { name: /^Replay / }).click()
  t.equal(await second.getByRole('heading', { level: 1 }).textContent(), 'Not started')
  await page.getByRole('button', { name: 'Interrupt' }).click()
  await page.getByText('It was interrupted').waitFor()
  const left = await letters.count('crm')
  t.ok(left > 0 && left < 10_000, `${left} are left`)
  t.match(await statusLine(page), `${(10_000 - left).toLocaleString('en-US')} replayed`)
  await until('those that were replayed', async () => crm.requests.length === 10_000 - left)

  await page.getByRole('button', { name: /^Drop all/ }).click()
  await page.getByRole('button', { name: /^Drop / }).click()
  await until('all dropped', async () => (await letters.count('crm')) === 0)
  await page.context().close()
  browser.expectCalm(t)
})

t.test('nothing that an event, a consumer or a name contains becomes markup', async t => {
  const crm = await receiver(t)
  crm.behave((_request, response) =>
    response.writeHead(400, { 'x-evil': EVIL, 'content-type': 'text/html' }).end(EVIL)
  )
  const { service, url } = await open(t, httpConsumer('crm', crm.url, { maxAttempts: 1 }))
  await redis.client.xgroup('CREATE', 'cio:events:{0}', EVIL, '0', 'MKSTREAM')
  await service.post(deliveryBody(EVIL))
  await until('a dead letter', async () => (await letters.count('crm')) === 1)
  const event = JSON.stringify({
    specversion: '1.0',
    id: EVIL,
    source: EVIL,
    type: EVIL,
    subject: EVIL,
    data: EVIL
  })
  const failure = {
    reason: 'failed',
    error: new Error(EVIL),
    attempts: 1,
    lastAttempts: [{ attempt: 1, atMs: 1, answer: EVIL, durationMs: 1 }]
  } as const
  await letters.add('crm', { position: '0-1-1', type: EVIL, event }, failure)
  await redis.client.hset('cio:consumer:crm', { lastFailure: EVIL, lastFailureAtMs: Date.now() + 1000 })
  await redis.client.xadd(
    'cio:attempts:crm',
    '*',
    'event',
    EVIL,
    'attempt',
    '1',
    'time',
    '1',
    'outcome',
    EVIL,
    'answer',
    EVIL,
    'ms',
    '1'
  )
  await redis.client.xadd(
    'cio:parked:{0}',
    '*',
    'type',
    EVIL,
    'event',
    JSON.stringify({
      id: EVIL,
      source: `/customerio/${EVIL}`,
      receivedtime: new Date().toISOString(),
      data: { reason: EVIL, text: EVIL, bytes: 1 }
    })
  )
  await service.post(`{${EVIL}`)
  const page = await browser.open({ statusErrors: true })
  await logIn(page, url)
  const evil = `/consumers/${encodeURIComponent(EVIL)}`
  const [first, second] = (await letters.list('crm', 2)).map(
    ({ letter }) => `/consumers/crm/dead-letters/${letter}`
  )
  const parked = (await redis.client.xrange('cio:parked:{0}', '-', '+')).map(([id]) => `/parked/0-${id}`)
  for (const path of [
    '/consumers',
    evil,
    `${evil}/remove`,
    `${evil}/dead-letters`,
    '/consumers/crm',
    '/consumers/crm/dead-letters',
    first,
    second,
    `/consumers?name=${encodeURIComponent(EVIL)}`,
    `/consumers?removed=${encodeURIComponent(EVIL)}`,
    `/consumers/crm/dead-letters?type=${encodeURIComponent(EVIL)}`,
    '/parked',
    ...parked,
    '/audit'
  ]) {
    await page.goto(`${url}${path}`)
    await expectHarmless(path ?? '')
  }
  for (const path of parked) {
    await page.goto(`${url}${path}`)
    await page.getByRole('button', { name: 'Reveal the body' }).click()
    await expectHarmless(`${path}/reveal`)
  }
  await page.goto(`${url}/consumers/crm`)
  await page.getByRole('button', { name: 'Send a test event' }).click()
  await expectHarmless('the exchange')
  t.match(await page.getByRole('region', { name: 'Body of the response' }).textContent(), EVIL)
  await page.context().close()
  browser.expectCalm(t)

  async function expectHarmless(path: string): Promise<void> {
    t.notMatch(await page.title(), /^broken$/, path)
    t.equal(await page.locator('main script, main img, main [onerror]').count(), 0, path)
  }
})

t.test(
  'every page is accessible, light and dark, from 360 to 1600 px, and a viewer has no buttons',
  async t => {
    const crm = await receiver(t, 422)
    const slow = await receiver(t)
    const { service, url } = await open(
      t,
      httpConsumer('crm', crm.url, { maxAttempts: 1, types: ['email.*', 'push.*'] }),
      httpConsumer('warehouse', slow.url)
    )
    await redis.client.xgroup('CREATE', 'cio:events:{0}', 'reports', '0', 'MKSTREAM')
    for (let index = 0; index < 3; index++) await service.post(deliveryBody(`event-${index}`))
    for (const body of ['{"customer_id": 42, broken', '[1, 2]']) await service.post(body)
    await until('dead letters', async () => (await letters.count('crm')) === 3)
    await until('attempts', async () => (await attempts.newest('crm', 4)).length === 3)
    const [letter] = await letters.list('crm', 1)
    const [[parked = ''] = []] = await redis.client.xrange('cio:parked:{0}', '-', '+')
    const pages = {
      consumers: '/consumers',
      consumer: '/consumers/crm',
      'dead-letters': '/consumers/crm/dead-letters',
      'dead-letter': `/consumers/crm/dead-letters/${letter?.letter}`,
      remove: '/consumers/crm/remove',
      'consumer-library': '/consumers/reports',
      parked: '/parked',
      'parked-delivery': `/parked/0-${parked}`
    } as const
    for (const colours of ['light', 'dark'] as const) {
      const page = await browser.open({ colours })
      await logIn(page, url)
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(`${url}${path}`)
        for (const width of [1600, 360, 1280]) {
          await page.setViewportSize({ width, height: width === 360 ? 740 : 800 })
          await expectAccessible(t, page, `${name}, ${colours}, ${width} px`)
        }
      }
      await page.getByRole('button', { name: 'Reveal the body' }).click()
      t.equal(await page.getByRole('region', { name: 'Body' }).textContent(), '{"customer_id": 42, broken')
      await expectAccessible(t, page, `revealed, ${colours}`)
      await page.goto(`${url}/consumers/crm`)
      await page.getByRole('button', { name: 'Send a test event' }).click()
      await expectAccessible(t, page, `exchange, ${colours}`)
      await page.context().close()
    }
    const viewer = await browser.open()
    await logIn(viewer, url, VIEWER_PASSWORD)
    for (const path of Object.values(pages).filter(path => path !== pages.remove)) {
      await viewer.goto(`${url}${path}`)
      t.same(await viewer.locator('main form[method="post"], main a:has-text("Remove")').count(), 0, path)
    }
    await viewer.context().close()
    browser.expectCalm(t)
  }
)
