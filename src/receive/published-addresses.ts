// Tested by test/receive/ip-allowlist.test.ts.
/**
 * The addresses Customer.io delivers webhooks from, as published on 2026-11-24 (US and EU; copies of that year differ in
 * the last two US pairs, so all of them are here). All tenants of Customer.io share them: an address proves nothing, and
 * invalid signatures from one of these are never rate-limited.
 */
export const publishedAddresses: readonly string[] = [
  // US
  '35.188.196.183',
  '104.198.177.219',
  '104.154.232.87',
  '130.211.229.195',
  '104.198.221.24',
  '104.197.27.15',
  '35.194.9.154',
  '104.154.144.51',
  '104.197.210.12',
  '35.225.6.73',
  '35.192.215.166',
  '34.170.204.100',
  '136.111.237.157',
  '34.10.127.179',
  '35.232.174.22',
  '35.184.18.16',
  // EU
  '34.76.143.229',
  '34.78.91.47',
  '34.77.94.252',
  '35.187.188.242',
  '34.78.122.90',
  '35.195.137.235',
  '130.211.108.156',
  '104.199.50.18',
  '34.78.44.80',
  '35.205.31.154'
]
