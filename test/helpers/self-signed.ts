import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { temporaryFolder } from './server.ts'

export interface CertificateFiles {
  readonly certificate: string
  readonly key: string
}

/**
 * A certificate signed by itself, valid for two days, in files.
 *
 * @param names as in subjectAltName: `DNS:localhost,IP:127.0.0.1`
 */
export function selfSigned(names: string): CertificateFiles {
  const folder = temporaryFolder()
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')]
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', '/CN=a broker', '-addext', `subjectAltName=${names}`, '-keyout', key, '-out', certificate]
    ],
    { stdio: 'pipe' }
  )
  return { certificate, key }
}
