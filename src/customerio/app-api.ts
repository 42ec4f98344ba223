import { cidr } from '../settings/parse.ts'
import { type CustomerIoAccount, loadClients } from './api-client.ts'

const TIMEOUT_MS = 10_000

/** A longer list or a wider range cannot be the addresses of one sender. */
const MAX_ADDRESSES = 500
const MIN_PREFIX = { v4: 20, v6: 48 }

/**
 * The addresses that Customer.io delivers from: `GET /v1/info/ip_addresses` of the App API.
 *
 * @throws Error if the request fails, and as `checkAddresses`
 */
export async function fetchPublishedIps(
  { region, appUrl }: Pick<CustomerIoAccount, 'region' | 'appUrl'>,
  appApiKey: string
): Promise<readonly string[]> {
  const { APIClient, options } = await loadClients(region, appUrl, TIMEOUT_MS)
  const client = new APIClient(appApiKey, options)
  const answer: Record<string, unknown> = await client.getIpAddresses()
  return checkAddresses(answer['ip_addresses'])
}

/**
 * A good answer is a list that contains addresses and narrow ranges only. If one item is bad, the others are not
 * trusted either.
 *
 * @throws Error for any other answer
 */
export function checkAddresses(answer: unknown): readonly string[] {
  if (!Array.isArray(answer) || answer.length === 0 || answer.length > MAX_ADDRESSES) {
    throw new Error('not a list of addresses')
  }
  return answer.map(address => {
    if (typeof address !== 'string' || cidr.parse(address) === undefined || isWide(address)) {
      throw new Error('the list contains items that are not addresses of one sender')
    }
    return address
  })
}

function isWide(address: string): boolean {
  const prefix = address.split('/')[1]
  if (prefix === undefined) return /^(0\.|127\.)|^::1?$/.test(address)
  return Number(prefix) < (address.includes(':') ? MIN_PREFIX.v6 : MIN_PREFIX.v4)
}
