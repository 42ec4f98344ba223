import { isIP } from 'node:net'
import { connect, type PeerCertificate, rootCertificates } from 'node:tls'
import { isLoopbackHost, socketHost } from '../../address.ts'
import { errorCode } from '../../errors.ts'
import { type Check, type Finding, fail, pass, skip, warn } from './check.ts'
import type { Endpoint, RunState } from './endpoint.ts'

const DAY_MS = 86_400_000
const FAIL_DAYS = 7
const WARN_DAYS = 30
const HANDSHAKE_TIMEOUT_MS = 8000
/** How the observation begins if there was no TLS handshake. */
export const NO_HANDSHAKE = 'The TLS handshake failed'

const shared = {
  area: 'reach',
  needs: 'anyone',
  requests: 1,
  why: 'Customer.io does not deliver to an address whose certificate it cannot verify: it waits an hour, tries again, and holds back every later event.'
} as const

export const tlsChecks: readonly Check[] = [
  {
    ...shared,
    id: 'https',
    title: 'The address begins with https, or is one of this machine',
    sends: 'nothing',
    requests: 0,
    expects: 'https://',
    why: 'Events are about people: with http anyone on the network path can read, capture and repeat them.',
    remedy: 'Put a proxy with a certificate before the receiver, and give Customer.io the https address.',
    run: async ({ url }) => {
      if (url.protocol === 'https:') return pass('It does.')
      return isLoopbackHost(url.hostname)
        ? pass('http, on this machine.')
        : fail('http: anyone on the network path can read and repeat the events.')
    }
  },
  {
    ...shared,
    id: 'tls-certificate',
    title: 'The certificate can be verified',
    sends: 'a TLS handshake (https only)',
    expects: 'a certificate for this name with a complete chain, from a known authority',
    remedy:
      'Send the certificate with its intermediate certificates (fullchain.pem), for exactly the name in the address.',
    run: async endpoint => {
      const result = await handshake(endpoint)
      if (typeof result === 'string') return skip(result)
      if (result.problem === undefined)
        return pass(`It is for ${endpoint.url.hostname}, and its chain is complete.`)
      if (result.problem === 'CERT_HAS_EXPIRED') return skip('It has expired. See tls-expiry.')
      return fail(`${problems[result.problem] ?? 'It cannot be verified'} (${result.problem}).`)
    }
  },
  {
    ...shared,
    id: 'tls-expiry',
    title: `The certificate is valid for more than ${FAIL_DAYS} days`,
    sends: 'a TLS handshake (https only)',
    expects: `at least ${WARN_DAYS} days`,
    remedy: 'Renew the certificate, and automate the renewal and the reload of the proxy.',
    run: async endpoint => {
      const result = await handshake(endpoint)
      if (typeof result === 'string') return skip(result)
      return judgeExpiry(result.certificate, endpoint.nowSeconds * 1000)
    }
  }
]

const problems: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'It is self-signed, not signed by an authority that Customer.io knows',
  SELF_SIGNED_CERT_IN_CHAIN: 'Its chain ends in an authority that Customer.io does not know',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'The intermediate certificate is not sent',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'An intermediate certificate is missing, or the authority is unknown',
  ERR_TLS_CERT_ALTNAME_INVALID: 'It is for another name',
  CERT_NOT_YET_VALID: 'It is not valid yet: check the clock of its issuer'
}

function judgeExpiry(certificate: PeerCertificate, nowMs: number): Finding {
  const until = Date.parse(certificate.valid_to)
  const days = Math.floor((until - nowMs) / DAY_MS)
  const date = new Date(until).toISOString().slice(0, 10)
  if (days < 0) return fail(`It expired on ${date}.`)
  if (days < FAIL_DAYS) return fail(`It expires on ${date}, in ${days} days.`)
  return days < WARN_DAYS
    ? warn(`It expires on ${date}, in ${days} days.`)
    : pass(`It is valid until ${date}.`)
}

interface Handshake {
  readonly certificate: PeerCertificate
  /** OpenSSL's or Node's name of the fault; `undefined` if there is none. */
  readonly problem: string | undefined
}

const handshakes = new WeakMap<RunState, Promise<Handshake | string>>()

/** Once per run. @returns a sentence if there was none */
function handshake(endpoint: Endpoint): Promise<Handshake | string> {
  const known = handshakes.get(endpoint.state) ?? performHandshake(endpoint)
  handshakes.set(endpoint.state, known)
  return known
}

function performHandshake({ url, ca }: Endpoint): Promise<Handshake | string> {
  if (url.protocol !== 'https:') return Promise.resolve('The address does not use https.')
  return new Promise(resolve => {
    const host = socketHost(url)
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
      rejectUnauthorized: false
    })
    // Not the socket's own timeout, which starts again with every byte.
    const timer = setTimeout(() => socket.destroy(new Error('not finished in time')), HANDSHAKE_TIMEOUT_MS)
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      const problem = socket.authorized ? undefined : nameOf(socket.authorizationError)
      resolve({ certificate: socket.getPeerCertificate(), problem })
      socket.end()
    })
    socket.once('error', error => {
      clearTimeout(timer)
      resolve(`${NO_HANDSHAKE}: ${nameOf(error)}.`)
    })
  })
}

/** Against its types, Node sets `authorizationError` to the name itself. */
function nameOf(error: unknown): string {
  if (typeof error === 'string') return error
  return error instanceof Error ? (errorCode(error) ?? error.message) : 'unknown'
}
