/*
 * What a value belongs to, in JSON, YAML, HCL, code and the like, complete or not: nothing here is parsed, since most of
 * what holds a leaked key is a template, a fragment, or broken.
 */

/** One of the objects, mappings or blocks around a value, from the innermost on. */
export interface Level {
  /** The name it has in the next one: `config`, `resource "http" "customerio"`; empty for an item of a list. */
  readonly header: string
  /** What stands beside the value, or beside the object it is in: one `name: value` each, with punctuation. */
  readonly entries: readonly string[]
}

/** Objects in which the name of their parent stands: Kubernetes' `metadata`, RudderStack's `destinationDefinition`. */
const DESCRIPTION = /(?:meta(?:data)?|definition|provider|integration|connector)["'`\\]*\s*[:=]?\s*$/i
/** Up to where a name before a brace reaches. */
const ENTRY_START = /[^,;{}\n]*$/

/**
 * @param left the text before the value
 * @param right the text behind it
 */
export function levelsAround(left: string, right: string): readonly Level[] {
  const before = withoutObjectsBefore(left)
  const after = withoutObjectsAfter(right)
  const levels: Level[] = []
  let rest = before
  let restAfter = after
  for (;;) {
    const open = rest.lastIndexOf('{')
    if (open === -1) break
    const close = restAfter.indexOf('}')
    const inside = close === -1 ? restAfter : restAfter.slice(0, close)
    restAfter = close === -1 ? '' : restAfter.slice(close + 1)
    const header = ENTRY_START.exec(rest.slice(0, open))?.[0] ?? ''
    levels.push({ header, entries: [...entriesOf(rest.slice(open + 1)), ...entriesOf(inside)] })
    rest = rest.slice(0, open)
  }
  return [...levels, ...indentedLevels(rest, restAfter)]
}

/** The text without the objects that end in it: those are siblings, and their contents say nothing about the value. */
export function withoutObjectsBefore(left: string): string {
  let kept = ''
  let end = left.length
  let depth = 0
  let groupEnd = 0
  for (let index = left.length - 1; index >= 0; index--) {
    const character = left.charCodeAt(index)
    if (character === CLOSE) {
      if (depth++ === 0) {
        kept = left.slice(index + 1, end) + kept
        groupEnd = index
      }
    } else if (character === OPEN && depth > 0 && --depth === 0) {
      const head = left.slice(Math.max(0, index - MAX_HEADER), index)
      if (DESCRIPTION.test(head)) kept = `\n${flat(left.slice(index, groupEnd))}\n${kept}`
      end = index - (ENTRY_START.exec(head)?.[0].length ?? 0)
      index = end
    }
  }
  return depth > 0 ? kept : left.slice(0, end) + kept
}

function withoutObjectsAfter(right: string): string {
  let kept = ''
  let start = 0
  let depth = 0
  let groupStart = 0
  for (let index = 0; index < right.length; index++) {
    const character = right.charCodeAt(index)
    if (character === OPEN && depth++ === 0) {
      const head = right.slice(start, index)
      kept += head.slice(0, head.length - (ENTRY_START.exec(head)?.[0].length ?? 0))
      groupStart = index
    } else if (character === CLOSE && depth > 0 && --depth === 0) {
      const head = right.slice(Math.max(start, groupStart - MAX_HEADER), groupStart)
      if (DESCRIPTION.test(head)) kept += `\n${flat(right.slice(groupStart, index))}\n`
      start = index + 1
    }
  }
  return depth > 0 ? kept : kept + right.slice(start)
}

const OPEN = 123
const CLOSE = 125
const MAX_HEADER = 120

const flat = (object: string): string => object.replace(/[{}]/g, '\n')

const entriesOf = (text: string): readonly string[] =>
  text.split(/[,;\n]/).filter(entry => entry.trim() !== '')

interface Line {
  readonly text: string
  /** The column of what the line says, behind the dashes of a list. */
  readonly indentation: number
  /** The column of its first dash; `undefined` without one. */
  readonly dash: number | undefined
}

function readLine(text: string): Line {
  const [, blanks = '', dashes = ''] = /^([ \t]*)((?:- +)*)/.exec(text) ?? []
  const dash = dashes === '' ? undefined : blanks.length
  return { text, indentation: blanks.length + dashes.length, dash }
}

const isBlank = (text: string): boolean => text.trim() === ''
const isDocumentStart = (text: string): boolean => /^(?:---|\.\.\.)(?:\s|$)/.test(text)
/** Of INI and TOML. */
export const isSection = (text: string): boolean => /^\s*\[[^\]]+\]\s*$/.test(text)

interface IndentedLevel extends Level {
  readonly entries: string[]
  readonly indentation: number
}

/** Levels by indentation, within their document or section. */
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
    // Above the first line of a list's item are the other items, and then the line that names the list.
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
