// Tested by test/customerio/app-api.test.ts and test/tools/rotate/track-key.slow.test.ts.

/** The account at Customer.io. A URL replaces the one of the region, for a proxy in between. */
export interface CustomerIoAccount {
  readonly region: 'us' | 'eu'
  readonly trackUrl: string | undefined
  readonly appUrl: string | undefined
}

/**
 * Customer.io's client library, and the options for its clients: one attempt per request, since callers retry
 * themselves. It is loaded on the first request: most services never need it.
 */
export async function loadClients(
  region: CustomerIoAccount['region'],
  url: string | undefined,
  timeoutMs: number
) {
  const library = await import('customerio-node')
  const options = {
    region: region === 'eu' ? library.RegionEU : library.RegionUS,
    ...(url === undefined ? {} : { url }),
    timeout: timeoutMs,
    retry: { maxRetries: 0 }
  }
  return { ...library, options }
}
