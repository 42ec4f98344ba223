import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runChecks } from '../../../src/tools/doctor/run-checks.ts'
import { inDays as day, makeCertificate } from '../../helpers/certificate.ts'
import { temporaryFolder } from '../../helpers/server.ts'
import { startReceiver } from './receiver.ts'

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))

const HERE = 'IP:127.0.0.1'

const rows: readonly (readonly [
  name: string,
  names: string,
  from: Date,
  until: Date,
  known: boolean,
  certificate: string,
  expiry: string
])[] = [
  ['good', HERE, day(-1), day(90), true, 'pass', 'pass'],
  ['self-signed', HERE, day(-1), day(90), false, 'fail', 'pass'],
  ['for another name', 'DNS:other.example', day(-1), day(90), true, 'fail', 'pass'],
  ['expired', HERE, day(-90), day(-2), true, 'skip', 'fail'],
  ['about to expire', HERE, day(-80), day(5), true, 'pass', 'fail'],
  ['to be renewed', HERE, day(-80), day(20), true, 'pass', 'warn'],
  ['not valid yet', HERE, day(2), day(90), true, 'fail', 'pass']
]

for (const [name, names, from, until, known, certificate, expiry] of rows) {
  t.test(`a certificate that is ${name} is recognized, and the other checks run`, async t => {
    const pair = makeCertificate(join(folder, name.replaceAll(' ', '-')), { names, from, until })
    const receiver = await startReceiver({}, pair)
    t.teardown(() => receiver.close())
    const { results } = await runChecks(
      { url: receiver.url, key: undefined, now: Date.now, ...(known ? { ca: pair.cert } : {}) },
      { readOnly: true, skip: ['stalled-body'] }
    )
    const status = Object.fromEntries(results.map(result => [result.check.id, result.status]))
    t.match(status, {
      https: 'pass',
      'tls-certificate': certificate,
      'tls-expiry': expiry,
      'no-signature': 'pass'
    })
  })
}
