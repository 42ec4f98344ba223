import fc from 'fast-check'
import t from 'tap'
import { parseAddress, socketHost } from '../src/address.ts'
import { compileAddressList } from '../src/address-list.ts'

t.test('an address has one canonical form', async t => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['35.188.196.183', '35.188.196.183'],
    ['35.188.196.183:61598', '35.188.196.183'],
    [' 35.188.196.183 ', '35.188.196.183'],
    ['"35.188.196.183:443"', '35.188.196.183'],
    ['::ffff:35.188.196.183', '35.188.196.183'],
    ['::FFFF:23bc:c4b7', '35.188.196.183'],
    ['[::ffff:35.188.196.183]:443', '35.188.196.183'],
    ['2001:db8:1::5', '2001:db8:1::5'],
    ['2001:0DB8:1:0:0:0:0:5', '2001:db8:1::5'],
    ['[2001:db8:1::5]', '2001:db8:1::5'],
    ['[2001:db8:1::5]:443', '2001:db8:1::5'],
    ['"[2001:db8:1::5]:443"', '2001:db8:1::5'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:443', 'fe80::1'],
    ['', undefined],
    ['unknown', undefined],
    ['_hidden', undefined],
    ['localhost:443', undefined],
    ['35.188.196.183:', undefined],
    ['35.188.196.183:port', undefined],
    ['35.188.196.183:443:443', undefined],
    ['35.188.196.1830', undefined],
    ['035.188.196.183', undefined],
    ['[35.188.196.183]:443', undefined],
    ['35.188.196.183%eth0', undefined],
    ['35.188.196.183, 10.0.0.1', undefined],
    ['[2001:db8::1', undefined],
    ['2001:db8::1]', undefined],
    ['"2001:db8::1', undefined],
    ['fe80::1%', undefined],
    ['0x23bcc4b7', undefined],
    ['__proto__', undefined]
  ]
  for (const [text, address] of rows) t.equal(parseAddress(text), address, `"${text}"`)
})

const v4 = fc.ipV4()
/** The notations that proxies, gateways and libraries use for an IPv4 address. */
const spellingsOfV4 = (address: string): fc.Arbitrary<string> => {
  const octets = address.split('.').map(Number)
  const hex = (high = 0, low = 0): string => (high * 256 + low).toString(16)
  const mapped = [`::ffff:${address}`, `::FFFF:${hex(octets[0], octets[1])}:${hex(octets[2], octets[3])}`]
  return fc
    .tuple(fc.constantFrom(address, ...mapped), fc.option(fc.nat(65_535)), fc.boolean())
    .map(([text, port, quoted]) => spelled(text, port, quoted))
}
const spellingsOfV6 = (groups: readonly number[]): fc.Arbitrary<string> => {
  const short = groups.map(group => group.toString(16)).join(':')
  const long = groups.map(group => group.toString(16).padStart(4, '0')).join(':')
  const text = fc.constantFrom(short, long, long.toUpperCase(), short.replace(/(^|:)0(:0)+(:|$)/, '::'))
  return fc
    .tuple(text, fc.constantFrom('', '%eth0', '%1'), fc.option(fc.nat(65_535)), fc.boolean())
    .map(([address, zone, port, quoted]) => spelled(address + zone, port, quoted))
}
function spelled(text: string, port: number | null, quoted: boolean): string {
  const bracketed = text.includes(':') && (port !== null || quoted) ? `[${text}]` : text
  const whole = port === null ? bracketed : `${bracketed}:${port}`
  return quoted ? `"${whole}"` : whole
}

t.test('an address is on a list in every notation', async t => {
  fc.assert(
    fc.property(
      v4.chain(address => fc.tuple(fc.constant(address), spellingsOfV4(address))),
      ([address, text]) => parseAddress(text) === address && compileAddressList([address])(text)
    )
  )
  const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(
      groups.chain(all => fc.tuple(spellingsOfV6(all), spellingsOfV6(all))),
      ([one, other]) => parseAddress(one) !== undefined && parseAddress(one) === parseAddress(other)
    )
  )
  t.pass()
})

t.test('any text is either an address in its canonical form, or not an address', async t => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.[\]%"]{0,45}$/), fc.ipV6(), fc.ipV4())
  fc.assert(
    fc.property(text, given => {
      const address = parseAddress(given)
      return address === undefined || parseAddress(address) === address
    })
  )
  t.pass()
})

t.test('the host of a URL has no brackets', async t => {
  for (const [url, host] of [
    ['amqp://[2001:db8::1]:5672', '2001:db8::1'],
    ['nats://127.0.0.1:4222', '127.0.0.1'],
    ['https://broker.example/', 'broker.example']
  ] as const) {
    t.equal(socketHost(new URL(url)), host)
  }
})
