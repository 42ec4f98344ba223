import { isIP } from 'node:net'
import { connect, type PeerCertificate, rootCertificates } from 'node:tls'
import { errorCode } from '../../errors.ts'
import { type Check, type Finding, note, unjudged, well, wrong } from './check.ts'
import type { Endpoint, ExaminationState } from './endpoint.ts'

const DAY_MS = 86_400_000
const TOO_SOON_DAYS = 7
const SOON_DAYS = 30
const CONNECT_MS = 8000

const shared = {
  area: 'reach',
  needs: 'anyone',
  requests: 1,
  why: 'Customer.io does not deliver to an address whose certificate it can not verify: it waits an hour, tries again, and holds back every later event.'
} as const

export const tlsChecks: readonly Check[] = [
  {
    ...shared,
    id: 'https',
    title: 'The address begins with https',
    sends: 'nothing',
    requests: 0,
    expects: 'https://',
    why: 'Events are about people: on http everybody on the way reads them, and can capture and repeat them.',
    mend: 'Put a proxy with a certificate before the receiver, and give Customer.io the https address.',
    run: async ({ url }) => {
      if (url.protocol === 'https:') return well('It does.')
      return isLoopback(url)
        ? well('http, on this machine.')
        : wrong('http: everybody on the way can read and repeat the events.')
    }
  },
  {
    ...shared,
    id: 'tls-certificate',
    title: 'The certificate can be verified',
    sends: 'a TLS handshake (https only)',
    expects: 'a certificate for this name, its chain complete, from a known authority',
    mend: 'Send the certificate with its intermediate certificates (fullchain.pem), for the very name in the address.',
    run: async endpoint => {
      const seen = await handshake(endpoint)
      if (typeof seen === 'string') return unjudged(seen)
      if (seen.problem === undefined)
        return well(`It is for ${endpoint.url.hostname}, and its chain is complete.`)
      if (seen.problem === 'CERT_HAS_EXPIRED') return unjudged('It has expired. See tls-expiry.')
      return wrong(`${problems[seen.problem] ?? 'It can not be verified'} (${seen.problem}).`)
    }
  },
  {
    ...shared,
    id: 'tls-expiry',
    title: `The certificate is good for more than ${TOO_SOON_DAYS} days`,
    sends: 'a TLS handshake (https only)',
    expects: `at least ${SOON_DAYS} days`,
    mend: 'Renew the certificate, and let the renewal run by itself and reload the proxy.',
    run: async endpoint => {
      const seen = await handshake(endpoint)
      if (typeof seen === 'string') return unjudged(seen)
      return judgeExpiry(seen.certificate, endpoint.nowSeconds * 1000)
    }
  }
]

const problems: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'It is signed by itself, not by an authority that Customer.io knows',
  SELF_SIGNED_CERT_IN_CHAIN: 'Its chain ends in an authority that Customer.io does not know',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'The intermediate certificate is not sent along',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'An intermediate certificate is missing, or the authority is unknown',
  ERR_TLS_CERT_ALTNAME_INVALID: 'It is for another name',
  CERT_NOT_YET_VALID: 'It is not valid yet: look at the clock of whoever made it'
}

function judgeExpiry(certificate: PeerCertificate, nowMs: number): Finding {
  const until = Date.parse(certificate.valid_to)
  const days = Math.floor((until - nowMs) / DAY_MS)
  const date = new Date(until).toISOString().slice(0, 10)
  if (days < 0) return wrong(`It expired on ${date}.`)
  if (days < TOO_SOON_DAYS) return wrong(`It expires on ${date}, in ${days} days.`)
  return days < SOON_DAYS
    ? note(`It expires on ${date}, in ${days} days.`)
    : well(`It is good until ${date}.`)
}

interface Seen {
  readonly certificate: PeerCertificate
  /** OpenSSL's or Node's name of what is wrong; `undefined`: nothing. */
  readonly problem: string | undefined
}

const handshakes = new WeakMap<ExaminationState, Promise<Seen | string>>()

/** One per examination. @returns a sentence where there was none */
function handshake(endpoint: Endpoint): Promise<Seen | string> {
  const known = handshakes.get(endpoint.state) ?? shakeHands(endpoint)
  handshakes.set(endpoint.state, known)
  return known
}

function shakeHands({ url, ca }: Endpoint): Promise<Seen | string> {
  if (url.protocol !== 'https:') return Promise.resolve('The address is no https address.')
  return new Promise(resolve => {
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
      rejectUnauthorized: false
    })
    // Not the socket's own timeout, which starts again with every byte.
    const timer = setTimeout(() => socket.destroy(new Error('not finished in time')), CONNECT_MS)
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      const problem = socket.authorized ? undefined : nameOf(socket.authorizationError)
      resolve({ certificate: socket.getPeerCertificate(), problem })
      socket.end()
    })
    socket.once('error', error => {
      clearTimeout(timer)
      resolve(`There was no TLS handshake: ${nameOf(error)}.`)
    })
  })
}

/** Node gives the name as the error itself, against its types. */
function nameOf(error: unknown): string {
  if (typeof error === 'string') return error
  return error instanceof Error ? (errorCode(error) ?? error.message) : 'unknown'
}

const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
