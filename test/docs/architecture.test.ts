import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createConsumer } from '../../src/consume/consumer.ts'
import { scenarios } from '../faults/scenarios/all.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const page = readFileSync(`${root}/docs/architecture.md`, 'utf8')

/** The rows of the first table below a heading that has this column first, as lists of cells. */
function tableRows(firstColumn: string): readonly (readonly string[])[] {
  const [, table = ''] = page.split(`\n| ${firstColumn} |`)
  const [text = ''] = table.split('\n\n')
  return text
    .split('\n')
    .slice(2)
    .map(row =>
      row
        .split('|')
        .map(cell => cell.trim())
        .slice(1, -1)
    )
}

const codeSpans = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

t.test('every folder and file at the top of src has its sentence', async t => {
  const listed = tableRows('folder or file').flatMap(([names = '']) => codeSpans(names))
  const entries = readdirSync(`${root}/src`, { withFileTypes: true })
  const missing = entries
    .map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .filter(name => !listed.includes(name))
  t.same(missing, [])
})

t.test('each law has its tests, and the faults that look for it exist', async t => {
  const rows = tableRows('law')
  const laws = [...page.matchAll(/^(\d)\. \*\*/gm)].slice(0, 9).map(([, number]) => number)
  t.same(
    rows.map(([law]) => law),
    laws
  )
  for (const [law, tests = '', others = ''] of rows) {
    t.not(codeSpans(tests).length, 0, `law ${law} has a test`)
    const named = codeSpans(others).filter(code => !code.startsWith('npm run'))
    t.same(
      named.filter(name => !scenarios.some(scenario => scenario.name === name)),
      [],
      `law ${law}: scenarios`
    )
  }
})

t.test('every key that the service and its consumers leave in Redis is in the table', async t => {
  const [redis, receiver] = [await startRedis(), await startReceiver()]
  const service = await startTestService({
    REDIS_URL: redis.url,
    PARTITIONS: '2',
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url, { maxAttempts: 1 }))
  })
  const consumer = createConsumer({ redisUrl: redis.url, group: 'bi' }, async () => {})
  t.teardown(async () => {
    await consumer.stop()
    await service.close()
    await receiver.stop()
    await redis.stop()
  })
  await consumer.start()
  t.equal((await service.post('{"event_id":"first"}')).status, 200)
  t.equal((await service.post('not JSON')).body['status'], 'parked')
  const kinds = [
    'events',
    'parked',
    'dedupe',
    'partitions',
    'members',
    'lease',
    'push',
    'keys',
    '{deliveries}'
  ]
  const keys = await until('keys of each kind', async () => {
    const found = await redis.client.keys('*')
    return kinds.every(kind => found.some(key => key.startsWith(`cio:${kind}`))) && found
  })

  const patterns = tableRows('key').flatMap(([names = '']) => codeSpans(names).map(patternOf))
  const unlisted = keys.filter(key => !patterns.some(pattern => pattern.test(key)))
  t.same(unlisted, [])
})

/** `cio:lease:{N}:<group>`: `{N}` is a partition, `<…>` a name, `…` anything. */
function patternOf(key: string): RegExp {
  const escaped = key.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const pattern = escaped.replace('\\{N\\}', '\\{\\d+\\}').replace(/<\w+>/g, '[\\w-]+').replace('…', '.+')
  return new RegExp(`^${pattern}$`)
}
