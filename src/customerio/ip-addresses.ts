import { ReportedError } from '../errors.ts'
import { cidr } from '../settings/parse.ts'
import type { AppApi } from './app-api.ts'

/** A longer list or a wider range cannot be the addresses of one sender. */
const MAX_ADDRESSES = 500
const MIN_PREFIX = { v4: 20, v6: 48 }

/**
 * The addresses that Customer.io delivers from: `GET /v1/info/ip_addresses` of the App API. Asked once: the caller asks
 * again after a few minutes.
 *
 * @throws Error if the request fails, and as `checkAddresses`
 */
export async function fetchPublishedIps(api: AppApi): Promise<readonly string[]> {
  const answer = await api.call(client => client.getIpAddresses(), { attempts: 1 })
  return checkAddresses(answer['ip_addresses'])
}

/**
 * A good answer is a list that contains addresses and narrow ranges only. If one item is bad, the others are not
 * trusted either.
 *
 * @throws ReportedError for any other answer, with nothing of its content
 */
export function checkAddresses(answer: unknown): readonly string[] {
  if (!Array.isArray(answer) || answer.length === 0 || answer.length > MAX_ADDRESSES) {
    throw new ReportedError(`ip_addresses is not a list of 1 to ${MAX_ADDRESSES} addresses`)
  }
  return answer.map(address => {
    if (typeof address !== 'string' || cidr.parse(address) === undefined || isWide(address)) {
      throw new ReportedError('ip_addresses has items that are not public addresses or narrow ranges')
    }
    return address
  })
}

function isWide(address: string): boolean {
  const prefix = address.split('/')[1]
  if (prefix === undefined) return /^(0\.|127\.)|^::1?$/.test(address)
  return Number(prefix) < (address.includes(':') ? MIN_PREFIX.v6 : MIN_PREFIX.v4)
}
