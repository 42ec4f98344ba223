import { createHash, createHmac } from 'node:crypto'
import t from 'tap'
import { canonicalAddress, compileDigest, isPlainEmail } from '../../src/sanitize/digest.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

t.test('plain addresses are told from all others', async t => {
  for (const text of ['a@b.c', 'Ada.Lovelace+news@mail.example-1.org', '1_@2.3'])
    t.ok(isPlainEmail(text), text)
  const others = [
    '',
    '@',
    'a@',
    '@b.c',
    'a@b',
    'a@.b',
    'a@b.',
    'a@b..c',
    'a@b@c.d',
    'a b@c.d',
    ' a@b.c',
    'é@b.c',
    'a@b_c.d',
    'a@b+c.d'
  ]
  for (const text of others) t.notOk(isPlainEmail(text), text)
})

t.test('all spellings of an address or a phone number have one form', async t => {
  const rows = [
    ['ada@example.com', ['ada@example.com', ' Ada@Example.COM ', 'Ada Lovelace <ada@example.com>']],
    ['14155550123', ['+14155550123', '+1 (415) 555-0123', '14155550123', '+1.415.555.0123']],
    ['02079460958', ['020 7946 0958', '(020) 7946-0958']],
    [undefined, ['ada', '', '12', '1234567890123456', 'a-1234567']]
  ] as const
  for (const [form, texts] of rows) for (const text of texts) t.equal(canonicalAddress(text), form, text)
})

t.test('a digest is SHA-256 of the one form, or HMAC under a key', async t => {
  const { ofValue, ofExactText } = compileDigest(undefined)
  t.equal(ofValue(' Ada '), sha256('ada'))
  t.equal(ofValue('+1 415 555 0123'), sha256('14155550123'))
  t.equal(ofValue('Ada@example.com'), sha256('ada@example.com'))
  t.equal(ofExactText(' Ada '), sha256(' Ada '))
  t.equal(compileDigest('k').ofValue('Ada'), createHmac('sha256', 'k').update('ada').digest('hex'))
})
