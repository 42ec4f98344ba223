// Tested by test/console/api.slow.test.ts.
import { z } from 'zod'
import { typeGlobProblem } from '../../event-types.ts'
import { isEntryId, isPosition } from '../../log/position.ts'
import { duration, parseIsoTime } from '../../settings/parse.ts'
import { letterReasons } from '../../tools/consumers/choose-letters.ts'
import { ApiError } from '../api-error.ts'

const MAX_PAGE = 100
const MAX_ATTEMPTS = 1000
const MAX_IDS = 200
const MAX_TYPES = 20
/** `<source>/<event id>`: 64 and 256 characters. */
const MAX_ID_LENGTH = 321

const text = z.string().min(1).max(MAX_ID_LENGTH)
const position = z.string().max(64).refine(isPosition, 'must be a position such as 0-1795510800000-0')
const letter = z.string().refine(isEntryId, 'must be the id of a dead letter')

const globs = z
  .array(
    z
      .string()
      .max(140)
      .superRefine((glob, context) => {
        const problem = typeGlobProblem(glob)
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
      })
  )
  .min(1)
  .max(MAX_TYPES)

const TIME = 'must be a time such as 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d'

/** As on the command line: an ISO 8601 time, or how long ago. Becomes unix milliseconds. */
const time = z.string().transform((value, context) => {
  const agoSeconds = duration.parse(value)
  if (agoSeconds !== undefined) return Date.now() - agoSeconds * 1000
  const atMs = parseIsoTime(value)
  if (atMs !== undefined) return atMs
  context.addIssue({ code: 'custom', message: TIME })
  return z.NEVER
})

/** A parameter that may be repeated. */
const repeated = <T extends z.ZodType>(schema: T) =>
  z.preprocess(value => (typeof value === 'string' ? [value] : value), schema)

/** @param max the most that is allowed */
const count = (max: number, fallback: number) =>
  z
    .union(
      [
        z.int(),
        z
          .string()
          .regex(/^\d{1,6}$/)
          .transform(Number)
      ],
      `must be a number from 1 to ${max}`
    )
    .refine(value => value >= 1 && value <= max, `must be a number from 1 to ${max}`)
    .default(fallback)

const searchShape = {
  id: repeated(z.array(text).min(1).max(MAX_TYPES)).optional(),
  type: repeated(globs).optional(),
  from: time.optional(),
  to: time.optional(),
  before: position.optional(),
  count: count(MAX_PAGE, 20)
}

const NO_ADDRESS =
  'must not contain an e-mail address: addresses do not belong in a URL. POST it to /api/v1/events/search'

export const eventQuery = z.strictObject({
  ...searchShape,
  customer: text.refine(value => !value.includes('@'), NO_ADDRESS).optional()
})
export const eventSearch = z.strictObject({
  ...searchShape,
  customer: text.optional(),
  email: z.string().min(3).max(320).optional()
})

export const deliveriesQuery = z.strictObject({ from: time.optional(), to: time.optional() })
export const noQuery = z.strictObject({})
export const auditQuery = z.strictObject({
  before: z.string().refine(isEntryId, 'must be the id of a record').optional(),
  count: count(MAX_PAGE, 50)
})
export const attemptsQuery = z.strictObject({ count: count(MAX_ATTEMPTS, 50) })
export const parkedQuery = z.strictObject({ after: position.optional(), count: count(MAX_PAGE, 50) })

const letterFilter = {
  type: repeated(globs).optional(),
  since: time.optional(),
  reason: z.enum(letterReasons).optional()
}
export const lettersQuery = z.strictObject({
  ...letterFilter,
  after: letter.optional(),
  count: count(MAX_PAGE, 20)
})

const ids = z.array(letter).min(1).max(MAX_IDS)
type Choice = {
  ids?: unknown
  eventIds?: unknown
  all?: unknown
  type?: unknown
  since?: unknown
  reason?: unknown
}

const hasOneChoice = ({ ids, eventIds, all, ...filter }: Choice): boolean =>
  [ids, eventIds, all].filter(one => one !== undefined).length === 1 &&
  (all === true || Object.values(filter).every(value => value === undefined))

export const lettersReplay = z
  .strictObject({
    ...letterFilter,
    ids: ids.optional(),
    eventIds: z.array(text).min(1).max(MAX_TYPES).optional(),
    all: z.literal(true).optional()
  })
  .refine(
    hasOneChoice,
    'give either ids, or eventIds, or "all": true with type, since or reason to choose some'
  )
export const lettersDrop = z
  .strictObject({ ...letterFilter, ids: ids.optional(), all: z.literal(true).optional() })
  .refine(hasOneChoice, 'give either ids, or "all": true with type, since or reason to choose some')

export const noBody = z.strictObject({}).optional()
export const redelivery = z.strictObject({ consumer: text })

export const noParams = z.strictObject({})
export const consumerParams = z.strictObject({ name: text })
export const eventParams = z.strictObject({ id: text })
export const positionParams = z.strictObject({ position })
export const parkedParams = z.strictObject({
  delivery: z.union(
    [position, z.string().regex(/^[0-9a-f]{64}$/)],
    'must be the position of a parked delivery, or the id in the response to the sender'
  )
})

/** @param what such as `the query` @throws ApiError that names the field and what is allowed; it repeats no value */
export function parseInput<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  if (issue?.code === 'unrecognized_keys') {
    const names = issue.keys.slice(0, 5).map(key => JSON.stringify(key.slice(0, 64)))
    throw new ApiError('CIO_BAD_REQUEST', `${what}: ${names.join(', ')} is not known here.`)
  }
  const field = issue?.path.join('.') ?? ''
  const message = issue?.message ?? 'is invalid'
  throw new ApiError('CIO_BAD_REQUEST', `${field === '' ? what : `${what}: ${field}`}: ${message}.`)
}
