import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { requestSigner } from '../../../src/dispatch/http/signature.ts'
import { Secret } from '../../../src/secret.ts'

const secretOf = (byte: number, length: number): string =>
  `whsec_${Buffer.alloc(length, byte).toString('base64')}`

t.test('the signatures are those of the Standard Webhooks library', t => {
  const secrets = [secretOf(1, 24), secretOf(2, 32), secretOf(3, 64)]
  const sign = requestSigner(secrets.map(secret => new Secret(secret)))
  const cases = [
    ['e1', '{}', 1_795_510_800_000],
    ['e1', '{"name":"Zoë 👋"}', 1_795_510_800_999],
    ['01J8ZK6T9QW3E5R7Y1U2I3O4P5', 'x'.repeat(100_000), 1_795_510_801_000]
  ] as const
  for (const [id, body, atMs] of cases) {
    const headers = sign(id, Buffer.from(body), atMs)
    const value = (name: string): string | undefined => headers[headers.indexOf(name) + 1]
    const expected = secrets.map(secret => new Webhook(secret).sign(id, new Date(atMs), body))
    t.equal(value('webhook-signature'), expected.join(' '))
    t.equal(value('webhook-timestamp'), String(Math.floor(atMs / 1000)))
    t.equal(value('webhook-id'), id)
  }
  t.end()
})
