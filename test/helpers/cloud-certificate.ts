/**
 * The certificate of servers that play Google and Azure, which are spoken to over TLS only. Node reads
 * NODE_EXTRA_CA_CERTS before a program can set it. So this, as a program, makes the certificate and prints the value of
 * the variable for the tests.
 */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Certificate, makeCertificate } from './certificate.ts'

const HOUR_MS = 3_600_000

export function cloudCertificate(): Certificate {
  const certFile = process.env['NODE_EXTRA_CA_CERTS']
  if (certFile === undefined) throw new Error('NODE_EXTRA_CA_CERTS is missing: npm run test:clouds sets it')
  const keyFile = join(dirname(certFile), 'key.pem')
  return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from, until] = [new Date(Date.now() - HOUR_MS), new Date(Date.now() + HOUR_MS)]
  const names = 'IP:127.0.0.1'
  // Not a `temporaryFolder`: it must outlive this program.
  const home = join(mkdtempSync(join(tmpdir(), 'cio-')), 'tls')
  process.stdout.write(`${makeCertificate(home, { names, from, until }).certFile}\n`)
}
