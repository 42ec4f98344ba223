// Tested by test/redis/faults.slow.test.ts.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { sendCommand } from './command.ts'
import type { RedisClient } from './connect.ts'

/** A Lua script and its digest, by which Redis caches it. */
interface Script {
  readonly text: string
  readonly sha1: string
}

/**
 * Reads a script. A line `-- @include <path>` is replaced by the text of that file.
 *
 * @param url of the script, beside the module that runs it
 */
export function loadScript(url: URL): Script {
  const read = (file: URL): string => readFileSync(file, 'utf8')
  const text = read(url).replace(/^-- @include (\S+)$/gm, (_, path: string) => read(new URL(path, url)))
  return { text, sha1: createHash('sha1').update(text).digest('hex') }
}

/**
 * Runs a script by its digest, or by its text if the server does not have it: after a restart, a failover or SCRIPT FLUSH.
 * A script that was refused as unknown has not run, so it never runs twice.
 */
export async function runScript(
  redis: RedisClient,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[]
): Promise<unknown> {
  try {
    return await sendCommand(redis, 'evalsha', [script.sha1, keys.length, ...keys, ...args])
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return sendCommand(redis, 'eval', [script.text, keys.length, ...keys, ...args])
  }
}
