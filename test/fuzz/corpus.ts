import { isUtf8 } from 'node:buffer'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Reads a corpus: one input per line, as a JSON string where the input is UTF-8, else as `{"base64":"…"}`.
 *
 * @returns no inputs if the file does not exist
 */
export function readCorpus(file: string): readonly Buffer[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter(line => line !== '').map(parseLine)
}

/** Writes each input once, the shortest first, so that the same inputs always give the same file. */
export function writeCorpus(file: string, inputs: readonly Buffer[]): void {
  const sorted = [...inputs].sort((a, b) => a.length - b.length || a.compare(b))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, [...new Set(sorted.map(lineOf))].map(line => `${line}\n`).join(''))
}

function parseLine(line: string): Buffer {
  const value = JSON.parse(line) as string | { readonly base64: string }
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.base64, 'base64')
}

const lineOf = (input: Buffer): string =>
  JSON.stringify(isUtf8(input) ? input.toString() : { base64: input.toString('base64') })
