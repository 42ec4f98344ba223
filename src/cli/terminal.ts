import { styleText } from 'node:util'

/** How text may look on an output. */
export interface TerminalStyle {
  readonly colour: boolean
  /** Columns. */
  readonly width: number
}

/** Longer lines are hard to read. */
const MAX_WIDTH = 100
const MIN_WIDTH = 50

export const terminalStyle = (
  { isTTY, columns }: NodeJS.WriteStream,
  env: Readonly<Record<string, string | undefined>>
): TerminalStyle => ({
  colour: isTTY === true && env['NO_COLOR'] === undefined,
  width: Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, columns ?? MAX_WIDTH))
})

export const paint = (
  { colour }: TerminalStyle,
  format: Parameters<typeof styleText>[0],
  text: string
): string => (colour ? styleText(format, text) : text)

/**
 * Text of others on one line of a terminal. Characters that could move the cursor, break the line, or change the order
 * in which text is displayed become escapes such as `\n` and `\u202e`: control and format characters (the bidi controls
 * among them), line and paragraph separators, and lone surrogates.
 */
export const terminalSafe = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, character => {
    if (character === '\n') return '\\n'
    const code = (character.codePointAt(0) ?? 0).toString(16)
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
  })

/** Terminal-safe lines of at most `width` characters, broken between words. A longer word keeps its length. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of terminalSafe(text).split(/ +/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
