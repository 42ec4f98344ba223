import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificate {
  /** Both as PEM, and the files that contain them. */
  readonly key: string
  readonly cert: string
  readonly keyFile: string
  readonly certFile: string
}

interface CertificateOptions {
  /** Subject alternative names in OpenSSL's notation: `DNS:hooks.example.com`, `IP:127.0.0.1`. */
  readonly names: string
  readonly from: Date
  readonly until: Date
}

/** Makes a self-signed certificate. @param home a folder that does not exist yet */
export function makeCertificate(home: string, { names, from, until }: CertificateOptions): Certificate {
  mkdirSync(home)
  const path = (file: string): string => join(home, file)
  // OpenSSL's notation of a time: 20300101000000Z.
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
  openssl(
    'req',
    '-new',
    '-key',
    path('key.pem'),
    '-subj',
    `/CN=cio-webhook test ${names}`,
    '-out',
    path('csr.pem')
  )
  openssl(
    ...['ca', '-batch', '-notext', '-config', path('ca.cnf'), '-selfsign', '-keyfile', path('key.pem')],
    ...['-in', path('csr.pem'), '-out', path('cert.pem'), '-extensions', 'names'],
    ...['-startdate', asn1(from), '-enddate', asn1(until)]
  )
  const [keyFile, certFile] = [path('key.pem'), path('cert.pem')]
  return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8'), keyFile, certFile }
}

/** A number of days from now. */
export const inDays = (days: number): Date => new Date(Date.now() + days * 86_400_000)
