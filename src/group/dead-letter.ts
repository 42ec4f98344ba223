import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { textMask } from '../sanitize/mask-text.ts'
import { allTextKinds } from '../sanitize/text-kinds.ts'
import type { ReadEntry } from './fenced-read.ts'

/**
 * Why an entry was set aside: every try `failed`; it was `malformed`, not one of ours; or no try came to an end,
 * since whoever made it died (`unfinished`).
 */
export type DeadReason = 'failed' | 'malformed' | 'unfinished'

const MAX_ERROR_LENGTH = 500
/** What is looked through for them: more than is kept, so that nothing personal is cut in two and missed. */
const MAX_ERROR_READ = 4 * MAX_ERROR_LENGTH

const deadLetterScript = loadScript(new URL('dead-letter.lua', import.meta.url))

const mask = textMask(allTextKinds)

/**
 * Sets an entry aside in the group's stream of dead letters. To be acknowledged afterwards: whoever dies in
 * between leaves it twice, never nowhere. `partition` and `id` together tell that two are the same.
 *
 * @throws what Redis answers; nobody knows then whether it is set aside
 */
export async function addDeadLetter(
  redis: RedisClient,
  stream: string,
  entry: ReadEntry,
  { reason, error, attempts }: { reason: DeadReason; error: unknown; attempts: number }
): Promise<void> {
  const { partition, id, type, event } = entry
  const letter = {
    partition: String(partition),
    id,
    type,
    event,
    reason,
    error: describe(error),
    attempts: String(attempts),
    time: new Date().toISOString(),
    // Whatever it was, it is kept.
    ...(reason === 'malformed' ? { fields: JSON.stringify(entry.fields) } : {})
  }
  await runScript(redis, deadLetterScript, [stream], Object.entries(letter).flat())
}

/** An error's name and message, in one line, without the personal data that can be told by its looks. */
function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : `${typeof error} thrown`
  return mask(text.slice(0, MAX_ERROR_READ)).replace(/\s+/g, ' ').slice(0, MAX_ERROR_LENGTH)
}
