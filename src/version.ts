// Tested by test/ops/metrics.test.ts.
import { createRequire } from 'node:module'

/** By the name of the package, so that the path does not depend on where this file is compiled to. */
const manifest: unknown = createRequire(import.meta.url)('cio-webhook/package.json')

/** The version in package.json. */
export const version =
  typeof manifest === 'object' &&
  manifest !== null &&
  'version' in manifest &&
  typeof manifest.version === 'string'
    ? manifest.version
    : 'unknown'
