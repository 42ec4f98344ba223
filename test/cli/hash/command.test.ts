import { createHmac } from 'node:crypto'
import t from 'tap'
import { UsageError } from '../../../src/cli/command.ts'
import { hashCommand } from '../../../src/cli/hash/command.ts'
import { runHere, runToEnd } from '../../helpers/command.ts'

const KEY = 'a-key-of-the-hashes'
const hmac = (text: string): string => createHmac('sha256', KEY).update(text).digest('hex')
const env = { PII_HASH_KEY: KEY }
const run = (args: readonly string[]) => runHere(hashCommand, args, env)

t.test('addresses and phone numbers are printed with the hash that events have', async t => {
  const { code, stdout } = await run(['Ada@Example.com', '+1 555 010 9999', '15550109999'])
  t.equal(code, 0)
  t.same(stdout.split('\n'), [
    `${hmac('ada@example.com')}  Ada@Example.com`,
    `${hmac('15550109999')}  +1 555 010 9999`,
    `${hmac('15550109999')}  15550109999  (as a customer id: not hashed)`,
    ''
  ])
})

t.test('lines of standard input are hashed too, so that no address is in the list of processes', async t => {
  const { code, stdout } = await runToEnd(['hash', '-', '--json'], env, 'ada@example.com\r\n\n+15550109999\n')
  t.equal(code, 0)
  t.same(
    stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
    [
      { address: 'ada@example.com', hash: hmac('ada@example.com'), customerId: hmac('ada@example.com') },
      { address: '+15550109999', hash: hmac('15550109999'), customerId: hmac('15550109999') }
    ]
  )
})

t.test('a text that is not an address is named, the others are hashed, exit 1', async t => {
  const { code, stdout, stderr } = await run(['Ada', 'ada@example.com'])
  t.equal(code, 1)
  t.match(stdout, /^[0-9a-f]{64} {2}ada@example\.com\n$/)
  t.equal(stderr, 'cio-webhook hash: "Ada" is neither an e-mail address nor a phone number\n')
})

t.test('without an address it is refused', async t => {
  await t.rejects(run([]), new UsageError('give at least one ADDRESS, or - for standard input'))
})
