import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { examine } from '../../src/doctor/examine.ts'
import { temporaryFolder } from '../helpers/server.ts'
import { startReceiver } from './receiver.ts'

interface Certificate {
  readonly key: string
  readonly cert: string
}

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))

/** A certificate signed by itself. Times as openssl writes them: 20300101000000Z. */
function makeCertificate(name: string, names: string, from: Date, until: Date): Certificate {
  const home = join(folder, name)
  mkdirSync(home)
  const path = (file: string): string => join(home, file)
  const asn1 = (date: Date): string => `${date.toISOString().replace(/[-:T]|\..*/g, '')}Z`
  writeFileSync(
    path('ca.cnf'),
    `[ca]\ndefault_ca=own\n[own]\ndatabase=${path('index.txt')}\nserial=${path('serial')}\nnew_certs_dir=${home}\n` +
      `default_md=sha256\npolicy=policy\n[policy]\ncommonName=supplied\n[names]\nsubjectAltName=${names}\n`
  )
  writeFileSync(path('index.txt'), '')
  writeFileSync(path('serial'), '01')
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: 'pipe' })
  }
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path('key.pem'))
  openssl('req', '-new', '-key', path('key.pem'), '-subj', `/CN=${name}`, '-out', path('csr.pem'))
  openssl(
    ...['ca', '-batch', '-notext', '-config', path('ca.cnf'), '-selfsign', '-keyfile', path('key.pem')],
    ...['-in', path('csr.pem'), '-out', path('cert.pem'), '-extensions', 'names'],
    ...['-startdate', asn1(from), '-enddate', asn1(until)]
  )
  return { key: readFileSync(path('key.pem'), 'utf8'), cert: readFileSync(path('cert.pem'), 'utf8') }
}

const day = (days: number): Date => new Date(Date.now() + days * 86_400_000)
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
  ['good', HERE, day(-1), day(90), true, 'well', 'well'],
  ['signed by nobody', HERE, day(-1), day(90), false, 'wrong', 'well'],
  ['for another name', 'DNS:other.example', day(-1), day(90), true, 'wrong', 'well'],
  ['expired', HERE, day(-90), day(-2), true, 'unjudged', 'wrong'],
  ['about to expire', HERE, day(-80), day(5), true, 'well', 'wrong'],
  ['to be renewed', HERE, day(-80), day(20), true, 'well', 'note'],
  ['not valid yet', HERE, day(2), day(90), true, 'wrong', 'well']
]

for (const [name, names, from, until, known, certificate, expiry] of rows) {
  t.test(`a certificate that is ${name} is told as such, and the rest is examined all the same`, async t => {
    const pair = makeCertificate(name.replaceAll(' ', '-'), names, from, until)
    const receiver = await startReceiver({}, pair)
    t.teardown(() => receiver.close())
    const { results } = await examine(
      { url: receiver.url, key: undefined, now: Date.now, ...(known ? { ca: pair.cert } : {}) },
      { readOnly: true, skip: ['stalled-body'] }
    )
    const status = Object.fromEntries(results.map(result => [result.check.id, result.status]))
    t.match(status, {
      https: 'well',
      'tls-certificate': certificate,
      'tls-expiry': expiry,
      'no-signature': 'well'
    })
  })
}
