// Tested by test/tools/leaks/key-context.test.ts.

/*
 * The objects, mappings and blocks around a value in JSON, YAML, HCL, code and the like. Nothing is parsed: most text
 * with a leaked key is a template, a fragment, or invalid.
 */

/** One object, mapping or block around a value. */
export interface Level {
  /** Its name in the next outer one: `config`, `resource "http" "customerio"`; empty for an item of a list. */
  readonly header: string
  /** Its fields, one `name: value` each, with punctuation. */
  readonly entries: readonly string[]
}

/** Headers of objects that contain the name of their parent: Kubernetes' `metadata`, RudderStack's `destinationDefinition`. */
const DESCRIPTION = /(?:meta(?:data)?|definition|provider|integration|connector)["'`\\]*\s*[:=]?\s*$/i

/**
 * @param before the text before the value, and
 * @param after the text after it, both from `withoutObjects`
 * @returns the levels from the innermost to the outermost
 */
export function levelsAround(before: string, after: string): readonly Level[] {
  const levels: Level[] = []
  let end = before.length
  let start = 0
  for (let open = before.lastIndexOf('{'); open !== -1; open = before.lastIndexOf('{', open - 1)) {
    if (levels.length === MAX_LEVELS) return levels
    const close = after.indexOf('}', start)
    const inside = after.slice(start, close === -1 ? after.length : close)
    const header = before.slice(entryStart(before, open), open)
    levels.push({ header, entries: [...entriesOf(before.slice(open + 1, end)), ...entriesOf(inside)] })
    end = open
    start = close === -1 ? after.length : close + 1
    if (open === 0) break
  }
  return [...levels, ...indentedLevels(before.slice(0, end), after.slice(start))]
}

/**
 * The text before or after a value, without the objects beside the value and their headers: their content is not about
 * it. An object that is cut off at the far end of the text is removed too.
 */
export function withoutObjects(text: string, side: 'before' | 'after'): string {
  const unclosed: number[] = []
  const objects: { readonly open: number; readonly close: number }[] = []
  let at = 0
  for (const { 0: brace, index: close } of text.matchAll(/[{}]/g)) {
    const open = brace === '{' ? undefined : unclosed.pop()
    if (brace === '{') unclosed.push(close)
    else if (open !== undefined) {
      while ((objects.at(-1)?.open ?? -1) > open) objects.pop()
      objects.push({ open, close })
    } else if (side === 'before') {
      objects.length = 0
      at = close + 1
    }
  }
  const [cutOff] = side === 'after' ? unclosed : []
  const end = cutOff === undefined ? text.length : entryStart(text, cutOff)
  let kept = ''
  for (const { open, close } of objects) {
    if (open >= end) break
    const header = Math.max(at, entryStart(text, open))
    kept += text.slice(at, header) + remainderOf(text.slice(header, open), text.slice(open, close))
    at = close + 1
  }
  return kept + text.slice(at, Math.max(at, end))
}

/** The start of the header of an object whose brace is at `open`. */
function entryStart(text: string, open: number): number {
  const least = Math.max(0, open - MAX_HEADER)
  let start = open
  while (start > least && !SEPARATORS.has(text.charCodeAt(start - 1))) start--
  return start
}

/** Levels further out do not count. */
const MAX_LEVELS = 8
const MAX_HEADER = 120
const SEPARATORS = new Set([...',;{}\n'].map(character => character.charCodeAt(0)))

/**
 * What stays of an object: the column of its header, with the dash of a list item. If it describes its parent, also its
 * fields, as fields of that parent: one per line, in the column of the header.
 */
function remainderOf(header: string, object: string): string {
  const column = /^[\s-]*/.exec(header)?.[0] ?? ''
  if (!DESCRIPTION.test(header)) return column
  const fields = object.split(/[{},\n]/).map(field => field.trim())
  return `\n${column}${fields.filter(field => field !== '').join(`\n${column.replaceAll('-', ' ')}`)}\n`
}

const entriesOf = (text: string): readonly string[] =>
  text.split(/[,;\n]/).filter(entry => entry.trim() !== '')

interface Line {
  readonly text: string
  /** The column of the text after the dashes of a list. */
  readonly indentation: number
  /** The column of the first dash; `undefined` without one. */
  readonly dash: number | undefined
}

function readLine(text: string): Line {
  const [, blanks = '', dashes = ''] = /^([ \t]*)((?:- +)*)/.exec(text) ?? []
  const dash = dashes === '' ? undefined : blanks.length
  return { text, indentation: blanks.length + dashes.length, dash }
}

const isBlank = (text: string): boolean => text.trim() === ''
const isDocumentStart = (text: string): boolean => /^(?:---|\.\.\.)(?:\s|$)/.test(text)
/** A section of INI or TOML. */
export const isSection = (text: string): boolean => /^\s*\[{1,2}[^[\]]+\]{1,2}\s*$/.test(text)

interface IndentedLevel extends Level {
  readonly entries: string[]
  readonly indentation: number
}

/** Levels by indentation, up to the ends of the document or section. */
function indentedLevels(left: string, right: string): readonly Level[] {
  const above = left.split(/\r?\n/)
  const own = readLine(above.pop() ?? '')
  const levels = levelsAbove(above.toReversed(), own)
  addEntriesBelow(right.split(/\r?\n/).slice(1), levels)
  return levels
}

/** @param above the lines above, the nearest first */
function levelsAbove(above: readonly string[], own: Line): readonly IndentedLevel[] {
  const levels: IndentedLevel[] = []
  let { indentation, dash } = own
  let entries = [own.text]
  let nested: string[] = []
  const close = (header: string): void => {
    levels.push({ header, entries, indentation })
    entries = []
    nested = []
  }
  for (const text of above) {
    if (isBlank(text)) continue
    if (isDocumentStart(text) || isSection(text)) {
      close(isSection(text) ? text : '')
      return levels
    }
    const line = readLine(text)
    // Above the first line of a list item are the other items, then the line that names the list.
    const isOtherItem =
      dash !== undefined && (line.dash === undefined ? line.indentation > dash : line.dash >= dash)
    if (isOtherItem) continue
    if (dash !== undefined || line.indentation < indentation) {
      close(text)
      indentation = line.indentation
      dash = line.dash
    } else if (line.indentation > indentation) nested.push(text)
    else {
      entries.push(text)
      if (DESCRIPTION.test(text)) entries.push(...nested)
      nested = []
      dash = line.dash
    }
  }
  close('')
  return levels
}

function addEntriesBelow(below: readonly string[], levels: readonly IndentedLevel[]): void {
  let current = 0
  let isDescribed = false
  for (const text of below) {
    if (isBlank(text)) continue
    if (isDocumentStart(text) || isSection(text)) return
    const line = readLine(text)
    const start = line.dash ?? line.indentation
    while (start < (levels[current]?.indentation ?? -1)) {
      current++
      isDescribed = false
    }
    const level = levels[current]
    if (level === undefined) return
    const isEntry = line.dash === undefined && line.indentation === level.indentation
    if (isEntry || isDescribed) level.entries.push(text)
    if (isEntry) isDescribed = DESCRIPTION.test(text)
  }
}
