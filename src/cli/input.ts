// Tested by test/cli/hash/command.test.ts.
import { text } from 'node:stream/consumers'

/** The lines of an input that are not blank. Resolves when the input ends. */
export async function readLines(input: NodeJS.ReadableStream): Promise<readonly string[]> {
  return (await text(input)).split(/\r?\n/).filter(line => line.trim() !== '')
}
