// Tested by test/settings/consumers-file.test.ts.
import { z } from 'zod'
import { typeGlobProblem } from '../event-types.ts'
import type { Secret } from '../secret.ts'

/** Reads a secret from a value, or from the file that the key names. */
export type SecretOf = (
  value: string | undefined,
  key: string,
  file: string | undefined
) => Secret | undefined

export const text = z.string().min(1)
export const count = (min: number, max: number) => z.int().min(min).max(max)
const typeGlob = z
  .string()
  .regex(/^[a-zA-Z0-9_.*?]{1,141}$/, { error: 'must be a glob such as email.* or *.bounced', abort: true })
  .refine(glob => !typeGlobProblem(glob), { error: ({ input }) => typeGlobProblem(String(input)) })

/** What all push consumers have. */
export const shared = {
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be 1 to 64 lower-case letters, digits, _ or -')
    .describe('Name of the consumer, of its consumer group in Redis, and in metrics and commands'),
  types: z
    .array(typeGlob)
    .min(1)
    .optional()
    .describe('Globs over <object_type>.<metric>; absent: every event'),
  backfilled: z
    .boolean()
    .optional()
    .describe('Whether it gets the events that reconcile appends, which no delivery brought; default true'),
  from: z
    .enum(['start', 'now'])
    .default('start')
    .describe('Where a new consumer starts: at the oldest event in the log, or at the next one')
}

/** An address without credentials: they have keys of their own, so an address can be shown. */
export function address(...protocols: readonly string[]) {
  const schemes = protocols.map(protocol => `${protocol}//`).join(' or ')
  return z.string().refine(
    value => {
      if (!URL.canParse(value)) return false
      const { protocol, hostname, username, password, hash } = new URL(value)
      const bare = username === '' && password === '' && hash === ''
      return protocols.includes(protocol) && hostname !== '' && bare
    },
    { message: `must be a ${schemes} address without user, password and fragment` }
  )
}

type Keys = Readonly<Record<string, unknown>>

export function oneOfTwo(first: string, second: string) {
  return (keys: Keys): boolean => (keys[first] === undefined) !== (keys[second] === undefined)
}

export function notBoth(first: string, second: string) {
  return (keys: Keys): boolean => keys[first] === undefined || keys[second] === undefined
}

export function togetherWith(user: string) {
  return (keys: Keys): boolean =>
    (keys[user] === undefined) === ((keys['password'] ?? keys['passwordFile']) === undefined)
}
