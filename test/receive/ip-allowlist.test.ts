import t from 'tap'
import { compileAddressList } from '../../src/address-list.ts'
import { createIpAllowlist } from '../../src/receive/ip-allowlist.ts'
import { publishedAddresses } from '../../src/receive/published-addresses.ts'

t.test('an address is matched in every notation', async t => {
  const onList = compileAddressList(['192.0.2.7', '198.51.100.0/24', '2001:db8::/32', '::1', 'fe80::/10'])
  const rows: readonly (readonly [string, boolean])[] = [
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['::ffff:192.0.2.7', true],
    ['::ffff:c000:207', true],
    ['198.51.100.0', true],
    ['198.51.100.255', true],
    ['198.51.101.0', false],
    ['2001:db8::1', true],
    ['2001:0DB8:0:0::1', true],
    ['2001:db9::1', false],
    ['::1', true],
    ['0:0:0:0:0:0:0:1', true],
    ['fe80::1%eth0', true],
    ['', false],
    ['unknown', false],
    ['192.0.2.7, 10.0.0.1', false],
    ['192.0.2.7:443', true],
    ['[2001:db8::1]:443', true],
    ['"[2001:db9::1]"', false],
    ['0192.0.2.7', false],
    ['__proto__', false]
  ]
  for (const [address, expected] of rows) {
    t.equal(onList(address), expected, `"${address}"`)
    t.equal(onList(address), expected, `"${address}" asked again`)
  }
})

t.test('a flood of addresses does not change the answers of the list', async t => {
  const onList = compileAddressList(['192.0.2.7'])
  for (let i = 0; i < 10_000; i++) onList(`10.0.${i >> 8}.${i & 255}`)
  t.equal(onList('192.0.2.7'), true)
  t.equal(onList('10.0.0.1'), false)
})

t.test('which addresses may deliver, and which are never rate-limited', async t => {
  const [published = ''] = publishedAddresses
  const by = (allowed: '*' | readonly string[] | undefined, loopbackAllowed = false) =>
    createIpAllowlist({ allowed, loopbackAllowed })
  const rows = [
    ['the published list by default', by(undefined), published, true, true],
    ['not others by default', by(undefined), '192.0.2.1', false, false],
    ['not loopback in production', by(undefined), '127.0.0.1', false, false],
    ['loopback in development, but its failures count', by(undefined, true), '127.0.0.1', true, false],
    ['IPv6 loopback in development', by(undefined, true), '::1', true, false],
    ['the operator’s list instead of the published one', by(['192.0.2.0/24']), '192.0.2.1', true, true],
    ['the published ones are then refused, but never banned', by(['192.0.2.0/24']), published, false, true],
    ['loopback named by the operator', by(['127.0.0.1']), '127.0.0.1', true, true],
    ['any address with *, and its failures count', by('*'), '192.0.2.1', true, false],
    ['the published ones with *, never banned', by('*'), published, true, true],
    ['an unknown address, only with *', by(undefined), 'unknown', false, false]
  ] as const
  for (const [name, admission, address, allowed, listed] of rows) {
    t.same(
      { allowed: admission.isAllowed(address), listed: admission.isKnown(address) },
      { allowed, listed },
      name
    )
  }
})

t.test('an address that Customer.io publishes later may deliver, unless the operator has a list', async t => {
  for (const [allowed, mayDeliver] of [
    [undefined, true],
    [['192.0.2.0/24'], false]
  ] as const) {
    const list = createIpAllowlist({ allowed, loopbackAllowed: false })
    list.setPublished(['198.51.100.7'])
    t.equal(list.isAllowed('198.51.100.7'), mayDeliver)
    t.equal(list.isKnown('198.51.100.7'), true, 'its failures are not limited')
    list.setPublished([])
    t.equal(list.isAllowed('198.51.100.7'), false)
  }
})
