// Tested by test/cli/status/command.slow.test.ts.
import type { z } from 'zod'

/**
 * A JSON value of this service that was stored in Redis, where other programs can write too.
 *
 * @returns `undefined` if there is none, or if it is not what the schema demands
 */
export function parseStored<T>(schema: z.ZodType<T>, text: string | null): T | undefined {
  if (text === null) return undefined
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
