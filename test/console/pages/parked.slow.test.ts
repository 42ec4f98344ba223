import t from 'tap'
import { bodyView } from '../../../src/console/pages/parked/body-view.ts'
import { PASSWORD, startTestConsole, VIEWER_PASSWORD } from '../../helpers/console.ts'
import { deliveryBody } from '../../helpers/consumers.ts'
import { readableParkedEntry } from '../../helpers/parked.ts'
import { flushedRedis } from '../../helpers/redis.ts'

const redis = await flushedRedis(t)
const SECRET_TEXT = '{"name": "<b>Ada</b>", not json'

// One console for all tests: the keys of its sessions take 0.3 s of CPU per password.
const { service, client } = await startTestConsole(redis.url)
t.teardown(service.close)
const [operator, viewer] = [client(), client()]
await operator.logIn(PASSWORD)
await viewer.logIn(VIEWER_PASSWORD)

/** Parks a body that is an event by today's rules. */
async function parkEvent(id: string): Promise<void> {
  await redis.client.xadd('cio:parked:{0}', '*', ...readableParkedEntry(deliveryBody(id)))
}

const positions = async (): Promise<readonly string[]> =>
  (await redis.client.xrange('cio:parked:{0}', '-', '+')).map(([id]) => `0-${id}`)

t.test('the list shows all but the bodies, in pages', async t => {
  t.match((await viewer.get('/parked')).text, 'No delivery is parked.')
  for (let index = 0; index < 30; index++) await service.post(`{"number": ${index}, broken`)
  const { text } = await viewer.get('/parked')
  t.equal(text.match(/<td><code>0-/g)?.length, 25)
  t.match(text, /<bdi>not_json<\/bdi>/)
  t.match(text, 'Parked now: 30.')
  const next = /href="(\/parked\?after=[^"]+)">Next/.exec(text)?.[1] ?? ''
  const last = (await viewer.get(next)).text
  t.equal(last.match(/<td><code>0-/g)?.length, 5)
  t.notMatch(last, '>Next<')
  t.notMatch(text + last, 'broken')
})

t.test(
  'a body is revealed only to operators, escaped, after an audit record, and is never logged',
  async t => {
    await service.post(SECRET_TEXT)
    const [delivery = ''] = await positions()
    const page = await viewer.get(`/parked/${delivery}`)
    t.equal(page.status, 200)
    t.notMatch(page.text, 'Reveal')
    t.equal((await viewer.post(`/parked/${delivery}/reveal`)).status, 403)
    t.equal((await operator.get(`/parked/${delivery}/reveal`)).status, 404, 'not by an address alone')
    t.notMatch((await operator.get(`/parked/${delivery}`)).text, 'Ada')
    const revealed = await operator.post(`/parked/${delivery}/reveal`)
    t.equal(revealed.status, 200)
    t.equal(revealed.headers['cache-control'], 'no-store')
    t.match(revealed.text, '&lt;b&gt;Ada&lt;/b&gt;')
    t.notMatch(revealed.text, '<b>Ada')
    t.match((await operator.get('/audit')).text, `parked_revealed</code></td><td>${delivery}<`)
    t.notMatch(service.logText(), 'Ada')
    t.match(service.logText(), 'parked_revealed')
    t.equal((await operator.post('/parked/0-1-1/reveal')).status, 404)
  }
)

t.test('a parked delivery whose key is gone is not revealed, and says why', async t => {
  await service.post(SECRET_TEXT)
  const [entry] = await redis.client.xrange('cio:parked:{0}', '-', '+')
  const changed = entry?.[1].map(field => field.replace(/"keyId":"\w+"/, '"keyId":"00000000"')) ?? []
  await redis.client.flushall()
  await redis.client.xadd('cio:parked:{0}', '*', ...changed)
  const [delivery = ''] = await positions()
  const { text } = await operator.post(`/parked/${delivery}/reveal`)
  t.match(text, 'it is sealed with the signing key 00000000 of the source default')
})

t.test('replay appends what is an event now, drop asks first, and both are audit records', async t => {
  await parkEvent('first')
  await parkEvent('second')
  await service.post(SECRET_TEXT)
  const [first = ''] = await positions()
  t.equal((await operator.post('/parked', { action: 'replay', delivery: first })).status, 303)
  t.equal((await positions()).length, 2)
  t.match(
    (await redis.client.xrange('cio:events:{0}', '-', '+')).map(([, fields]) => fields[3]),
    [/"id":"[^"]*"/]
  )

  const asked = await operator.post('/parked', { action: 'replay', delivery: 'all' })
  t.match(asked.text, 'Replay all 2 parked deliveries?')
  t.equal(await redis.client.xlen('cio:events:{0}'), 1)
  await operator.post('/parked', { action: 'replay', delivery: 'all', confirmed: 'yes' })
  t.equal(await redis.client.xlen('cio:events:{0}'), 2)
  const { text } = await operator.get('/parked')
  t.match(text, /role="status">1 replayed, 1 left/)
  t.match(text, 'it is still not an event: not_json')

  const [last = ''] = await positions()
  t.match(
    (await operator.post('/parked', { action: 'drop', delivery: last })).text,
    `Drop the parked delivery ${last}?`
  )
  t.equal((await positions()).length, 1)
  await operator.post('/parked', { action: 'drop', delivery: last, confirmed: 'yes' })
  t.equal((await positions()).length, 0)
  const audit = (await operator.get('/audit')).text
  for (const action of ['parked_replayed', 'parked_dropped']) t.match(audit, action)
  t.match(service.logText(), 'parked_dropped')
})

t.test('a body is shown as text up to 64 KiB, and in hex if it is not text', async t => {
  t.match(bodyView(Buffer.from('{"ä": 1}')).text, '{&quot;ä&quot;: 1}')
  const long = bodyView(Buffer.from('ä'.repeat(40_000))).text
  t.match(long, 'The first 65,536 of 80,000 bytes')
  t.equal(long.match(/ä/g)?.length, 32_768)
  const cut = bodyView(Buffer.from(`a${'ä'.repeat(40_000)}`)).text
  t.notMatch(cut, '00000000  ', 'a character that is cut in two')
  t.match(bodyView(Buffer.from([0xff, 0x00, 0x41])).text, /00000000 {2}ff 00 41 +\.\.A/)
  t.match(bodyView(Buffer.from('a\u0000b')).text, '00000000  61 00 62')
  t.match(bodyView(Buffer.alloc(10_000)).text, 'The first 4,096 of 10,000 bytes')
})
