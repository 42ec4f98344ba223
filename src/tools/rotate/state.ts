// Tested by test/tools/rotate/track-key.slow.test.ts.
import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ConfigError, errorCode } from '../../errors.ts'
import { createDataDir } from '../../settings/data-dir.ts'

const begun = z.object({
  /** ISO 8601. */
  switchedAt: z.string(),
  /** Ids, never keys. */
  oldKey: z.string().optional(),
  newKey: z.string()
})
const trackKey = begun.extend({ drainSeconds: z.number(), workspace: z.string().optional() })
const webhookKey = begun.extend({ quietSeconds: z.number() })
const finished = z.object({
  what: z.string(),
  newKey: z.string(),
  switchedAt: z.string(),
  finishedAt: z.string()
})

const schema = z.object({
  trackKey: trackKey.optional(),
  /** By source. */
  webhookKeys: z.record(z.string(), webhookKey).default({}),
  history: z.array(finished).default([])
})

/** The rotations in progress: times and key ids, never keys. */
export type RotationState = z.infer<typeof schema>

export interface RotationRecord {
  read(): Promise<RotationState>
  /** Replaces the file as a whole. */
  write(state: RotationState): Promise<void>
}

const DAY_SECONDS = 86_400
const FILE = 'rotation.json'
const MAX_HISTORY = 100

/** The record in `DATA_DIR`. */
export function rotationRecord(dataDir: string): RotationRecord {
  const path = join(dataDir, FILE)
  return {
    async read() {
      let text: string
      try {
        text = await readFile(path, 'utf8')
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return schema.parse({})
        throw error
      }
      try {
        return schema.parse(JSON.parse(text))
      } catch (cause) {
        throw new ConfigError(`${path} was not written by rotate: move it away (it contains no keys)`, {
          cause
        })
      }
    },
    async write(state) {
      createDataDir(dataDir)
      const file = await open(`${path}.tmp`, 'w', 0o600)
      try {
        const kept = { ...state, history: state.history.slice(-MAX_HISTORY) }
        await file.writeFile(`${JSON.stringify(kept, null, 2)}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}.tmp`, path)
    }
  }
}

/** How long the old key must not have been seen: as chosen when the rotation of this source's key was started. */
export const quietSecondsOf = async (record: RotationRecord, source: string): Promise<number> =>
  (await record.read()).webhookKeys[source]?.quietSeconds ?? DAY_SECONDS
