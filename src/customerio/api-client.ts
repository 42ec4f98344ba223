// Tested by test/customerio/app-api.test.ts and test/tools/rotate/track-key.test.ts.

/** The account at Customer.io. A URL replaces that of the region, for a proxy in between. */
export interface CustomerIoAccount {
  readonly region: 'us' | 'eu'
  readonly trackUrl: string | undefined
  readonly appUrl: string | undefined
}

/**
 * The client library of Customer.io. It is loaded on the first request: a service without an App API key must not
 * carry it.
 */
export const loadClients = () => import('customerio-node')

/** Options of every client: one attempt, since each caller has a retry of its own. */
export async function clientOptions(
  region: CustomerIoAccount['region'],
  url: string | undefined,
  timeoutMs: number
) {
  const { RegionEU, RegionUS } = await loadClients()
  return {
    region: region === 'eu' ? RegionEU : RegionUS,
    ...(url === undefined ? {} : { url }),
    timeout: timeoutMs,
    retry: { maxRetries: 0 }
  }
}
