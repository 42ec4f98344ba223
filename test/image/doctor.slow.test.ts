import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Certificate, inDays, makeCertificate } from '../helpers/certificate.ts'
import { type DocumentedNginx, PROXY_ADDRESS, startDocumentedNginx } from '../helpers/documented-nginx.ts'
import { temporaryFolder } from '../helpers/server.ts'
import { KEY } from '../helpers/sign.ts'
import { HARDENED } from './container.ts'
import { BUILD_TIMEOUT_MS, command } from './docker.ts'
import { prepare } from './setting.ts'

t.setTimeout(BUILD_TIMEOUT_MS + 300_000)

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))
const { image, redis, start } = await prepare(t, 'doctor')
const service = { NODE_ENV: 'production', TRUSTED_PROXIES: PROXY_ADDRESS, CIO_ALLOWED_IPS: '127.0.0.1' }

interface Report {
  readonly code: number
  readonly verdict: string
  readonly checks: readonly { readonly id: string; readonly status: string; readonly observed: string }[]
}

/** Runs the doctor in the image itself, as restricted as the service. */
async function runDoctor(
  { origin }: DocumentedNginx,
  ca?: string,
  options: readonly string[] = []
): Promise<Report> {
  const key = join(folder, 'key')
  writeFileSync(key, `${KEY}\n`)
  if (ca !== undefined) writeFileSync(join(folder, 'ca.pem'), ca)
  const { code, stdout } = await command('docker', [
    ...['run', '--rm', '--network', 'host', ...HARDENED],
    ...['--volume', `${key}:/run/secrets/key:ro`, '--env', 'CIO_WEBHOOK_SECRET_FILE=/run/secrets/key'],
    ...(ca === undefined ? [] : ['--volume', `${join(folder, 'ca.pem')}:/run/ca.pem:ro`]),
    ...[image, 'doctor', `${origin}/api/cio/webhook`, '--json', ...options],
    ...(ca === undefined ? [] : ['--ca', '/run/ca.pem'])
  ]).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { code: number; stdout: string }) => error
  )
  return { code, ...JSON.parse(stdout) }
}

const observed = ({ checks }: Report, status: string): readonly string[] =>
  checks.filter(check => check.status === status).map(check => `${check.id}: ${check.observed}`)
const ids = ({ checks }: Report, status: string): readonly string[] =>
  checks.filter(check => check.status === status).map(({ id }) => id)

const certificateFor = (name: string, days: number): Certificate =>
  makeCertificate(join(folder, name), { names: 'IP:127.0.0.1', from: inDays(-1), until: inDays(days) })

for (const scheme of ['http', 'https'] as const) {
  t.test(`no check of the doctor fails on the hardened container behind nginx, over ${scheme}`, async t => {
    const prefix = `${scheme}:`
    const container = await start(t, { ...service, CIO_KEY_PREFIX: prefix })
    await container.ready()
    const certificate = scheme === 'https' ? certificateFor('good', 90) : undefined
    const nginx = await startDocumentedNginx(container.port, certificate)
    t.teardown(() => nginx.stop())

    const report = await runDoctor(nginx, certificate?.cert)
    t.same(observed(report, 'fail'), [])
    t.match(report, { code: 0, verdict: 'pass' })
    t.same(ids(report, 'skip'), scheme === 'https' ? [] : ['tls-certificate', 'tls-expiry'])
    t.same(ids(report, 'warn'), ['body-scheme'], 'signatures over the body alone are accepted, as documented')
    t.comment(`${ids(report, 'pass').length} of ${report.checks.length}`)

    const entries = await redis.client.xrange(`${prefix}events:{0}`, '-', '+')
    t.same([...new Set(entries.map(([, fields]) => fields[1]))], ['io.customer.doctor'])
  })
}

const QUICK = ['--read-only', '--skip', 'stalled-body']

t.test('over https the doctor checks the certificate and its expiry', async t => {
  const container = await start(t, service)
  await container.ready()
  for (const [name, days, known, failed] of [
    ['about to expire', 3, true, ['tls-expiry']],
    ['self-signed', 90, false, ['tls-certificate']]
  ] as const) {
    const certificate = certificateFor(name.replaceAll(' ', '-'), days)
    const nginx = await startDocumentedNginx(container.port, certificate)
    t.teardown(() => nginx.stop())
    const report = await runDoctor(nginx, known ? certificate.cert : undefined, QUICK)
    t.same(ids(report, 'fail'), failed, name)
    t.equal(report.code, 1)
  }
})

t.test('from an address that is not allowed the doctor says that it could not check', async t => {
  const container = await start(t, { ...service, CIO_ALLOWED_IPS: '203.0.113.7' })
  await container.ready()
  const nginx = await startDocumentedNginx(container.port)
  t.teardown(() => nginx.stop())
  for (const options of [['--skip', 'stalled-body,slow-body'], QUICK]) {
    const report = await runDoctor(nginx, undefined, options)
    t.same(observed(report, 'fail'), [])
    t.match(report, { code: 2, verdict: 'skip' })
  }
})

t.test('while the container is away nginx says 503, which costs the sender no hour', async t => {
  const container = await start(t, service)
  await container.ready()
  const nginx = await startDocumentedNginx(container.port)
  t.teardown(() => nginx.stop())
  const post = () => fetch(`${nginx.origin}/api/cio/webhook`, { method: 'POST', body: '{}' })
  t.equal((await post()).status, 401)
  await container.signal('SIGKILL')
  await container.ended(10_000)
  const answer = await post()
  t.match([answer.status, answer.headers.get('retry-after')], [503, '5'])
})
