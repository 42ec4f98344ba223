import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startTestConsole } from '../../helpers/console.ts'
import { historyOf, idOf, loadHistory } from '../../helpers/event-history.ts'
import { startRedis } from '../../helpers/redis.ts'

const EVENTS = 1_000_000
const PARTITIONS = 4
const MAX_P95_MS = 300

const redis = await startRedis()
t.teardown(() => redis.stop())
const history = historyOf(EVENTS, PARTITIONS)
// On a busy machine, a batch takes longer than a command of the service may.
await loadHistory(redis.client, history)
const { service, url } = await startTestConsole(redis.url, {
  PARTITIONS: String(PARTITIONS),
  EVENT_RETENTION_SECONDS: '31536000'
})
t.teardown(service.close)

async function get(path: string): Promise<string> {
  const response = await fetch(`${url}${path}`)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${path}: status ${response.status}`)
  return text
}

async function p95Of(path: string): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < 40; run++) {
    const started = performance.now()
    await get(path)
    times.push(performance.now() - started)
  }
  return times.sort((a, b) => a - b)[37] ?? Number.NaN
}

const rowsOf = (page: string): number => page.match(/<tr>/g)?.slice(1).length ?? 0
const linkOf = (page: string, label: string): string =>
  (new RegExp(`href="([^"]+)">${label}<`).exec(page)?.[1] ?? '').replaceAll('&amp;', '&')

t.test(`with a million events, 95 of 100 pages take at most ${MAX_P95_MS} ms`, async t => {
  const middle = new Date(history.startMs + EVENTS * 500).toISOString().slice(0, 16)
  for (const path of [
    '/events',
    '/events?type=email.clicked',
    `/events?to=${middle}`,
    `/events?id=${idOf(history, 2 * Math.floor(EVENTS / 6))}`,
    `/events/${idOf(history, 2 * Math.floor(EVENTS / 4))}`
  ]) {
    const p95s: number[] = []
    // A busy machine only makes it longer.
    while (p95s.length < 5 && (p95s.at(-1) ?? Number.POSITIVE_INFINITY) > MAX_P95_MS) {
      p95s.push(await p95Of(path))
    }
    t.ok(Math.min(...p95s) <= MAX_P95_MS, `${path}: ${p95s.map(Math.round)} ms`)
  }
})

t.test(
  'a search that takes longer than 2 s shows what it has found, and is continued to the end',
  async t => {
    const times: number[] = []
    let pages = 0
    let rows = 0
    for (let path = '/events?customer=unknown'; path !== ''; pages++) {
      const started = performance.now()
      const page = await get(path)
      times.push(performance.now() - started)
      rows += rowsOf(page)
      path = linkOf(page, 'Search further back')
      t.match(
        page,
        path === '' ? /No events match: / : /No events match so far: .*Older events were not searched yet/
      )
    }
    // On a busy machine, some take longer.
    const median = times.toSorted((a, b) => a - b)[Math.floor(pages / 2)] ?? Number.NaN
    t.ok(median < 3000, `${pages} pages: ${times.map(Math.round)} ms`)
    t.equal(rows, 0)
    const positions = new Set<string>()
    for (let path = '/events?customer=777'; path !== ''; ) {
      const page = await get(path)
      for (const [, position = ''] of page.matchAll(/href="\/events\/([^"]+)"/g)) positions.add(position)
      path = linkOf(page, 'Search further back') || linkOf(page, 'Older')
    }
    t.equal(positions.size, EVENTS / 20_000, 'each event of the customer, once')
  }
)

t.test('a search ends when the reader goes away', async t => {
  const gone = new AbortController()
  const search = fetch(`${url}/events?customer=unknown`, { signal: gone.signal })
  await pause(300)
  gone.abort()
  await t.rejects(search)
  await pause(200)
  const scans = async (): Promise<string | undefined> =>
    /cmdstat_evalsha:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1]
  const before = Number(await scans())
  await pause(500)
  const after = Number(await scans())
  t.ok(after - before < 20, `${after - before} calls of scripts afterwards`)
})
