import { createHash, createHmac } from 'node:crypto'
import t from 'tap'
import { compileDigest, isPlainEmail } from '../../src/sanitize/digest.ts'

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

t.test('a digest is SHA-256 of the one form, or HMAC under a key', async t => {
  const { ofEmail, ofValue, ofExactText } = compileDigest(undefined)
  t.equal(ofValue(' Ada '), sha256('ada'))
  t.equal(ofValue('+1 415 555 0123'), sha256('14155550123'))
  for (const digest of [ofValue, ofEmail]) t.equal(digest('Ada@example.com'), sha256('ada@example.com'))
  t.equal(ofExactText(' Ada '), sha256(' Ada '))
  t.equal(compileDigest('k').ofValue('Ada'), createHmac('sha256', 'k').update('ada').digest('hex'))
})
