import t from 'tap'
import { checkAddresses, fetchPublishedIps } from '../../src/customerio/ip-addresses.ts'
import { appApiOf, startCustomerIo } from '../helpers/customer-io.ts'

t.test('addresses and narrow ranges are accepted, wide ranges and local addresses are not', async t => {
  const narrow = ['192.0.2.0/24', '192.0.0.0/20', '2001:db8::/64', '2001:db8::/48', '2001:db8::1']
  t.same(checkAddresses(narrow), narrow)
  for (const wide of [
    '10.0.0.0/8',
    '192.0.0.0/19',
    '2001:db8::/32',
    '2001:db8::/47',
    '127.0.0.1',
    '::1',
    '0.0.0.0'
  ]) {
    t.throws(() => checkAddresses([wide]), wide)
  }
})

t.test('the log can show why a list is refused, and nothing of its content', async t => {
  const bad = 'someone@example.com'
  for (const answer of [undefined, [], [bad], Array(501).fill('192.0.2.1')]) {
    t.throws(() => checkAddresses(answer), { name: 'ReportedError', message: /^ip_addresses (?!.*someone)/ })
  }
})

t.test('a request for the addresses is made once, also if it fails', async t => {
  const cio = await startCustomerIo(t)
  cio.appKeys.add('app-key')
  cio.addresses = ['192.0.2.1']
  t.same(await fetchPublishedIps(appApiOf(cio)), ['192.0.2.1'])
  await t.rejects(fetchPublishedIps(appApiOf(cio, 'another-key')))
  cio.answer = { status: 500, body: '{}' }
  await t.rejects(fetchPublishedIps(appApiOf(cio)))
  t.same(
    cio.requests,
    [200, 401, 500].map(status => `GET /v1/info/ip_addresses ${status}`)
  )
})
