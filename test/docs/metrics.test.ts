import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { metricTable } from '../../src/ops/metric-table.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'

t.test('docs/metrics.md has the table of the code', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/document-metrics.mjs', '--check'], {
    encoding: 'utf8'
  })
  t.equal(stderr, '')
  t.equal(status, 0)
})

t.test('a service has every metric that the page names', async t => {
  const redis = await startRedis()
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const scrape = await (await fetch(`${service.url}/metrics`)).text()
  const types = [...scrape.matchAll(/^# TYPE (cio_\w+) (\w+)$/gm)].map(([, name, type]) => [name, type])
  const documented = Object.entries(metricTable).map(([name, { kind }]) => [name, kind])
  t.same(types.sort(), documented.sort())
  const page = readFileSync('docs/metrics.md', 'utf8')
  const defaults = [...page.matchAll(/^\| `((?:process|nodejs)_\w+)` \|/gm)].map(([, name]) => name)
  t.ok(defaults.length > 3)
  t.same(
    defaults.filter(name => !scrape.includes(`# TYPE ${name} `)),
    []
  )
})
