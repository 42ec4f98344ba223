import { customerio } from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'
import { DEFAULT_SCHEMES, type Source, signingKeys } from '../../src/settings/sources.ts'
import { KEY } from './sign.ts'

const sanitizer = compileSanitizer(customerio)

/** A source with the key of the tests and the default policy, unless `settings` say otherwise. */
export const testSource = (settings: Partial<Source> = {}): Source => ({
  name: 'default',
  keys: signingKeys(KEY, undefined),
  schemes: DEFAULT_SCHEMES,
  idPointer: undefined,
  idHeader: undefined,
  policy: 'customerio',
  sanitizer,
  ...settings
})
