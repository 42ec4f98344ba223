// Tested by test/group/dead-letters.test.ts.
/** An attempt to process an event. It contains nothing of the event. */
export interface PastAttempt {
  /** From 1. */
  readonly attempt: number
  /** When it began, unix milliseconds. */
  readonly atMs: number
  /**
   * A status or a code such as `200`, `ECONNREFUSED`, `timeout`, or why the event was refused. Contains no text of a
   * response.
   */
  readonly answer: string
  readonly durationMs: number
}

/** An attempt as one line of text: `<attempt> <unix ms> <duration in ms> <answer>`. */
export const formatPastAttempt = ({ attempt, atMs, durationMs, answer }: PastAttempt): string =>
  `${attempt} ${atMs} ${Math.round(durationMs)} ${answer.replace(/\s+/g, ' ')}`

/** @returns the attempts in these lines; a line that is none is left out */
export function parsePastAttempts(lines: readonly string[]): readonly PastAttempt[] {
  return lines.flatMap(line => {
    const [, attempt, atMs, durationMs, answer = ''] = /^(\d+) (\d+) (\d+) (.*)$/.exec(line) ?? []
    if (attempt === undefined) return []
    return [{ attempt: Number(attempt), atMs: Number(atMs), answer, durationMs: Number(durationMs) }]
  })
}
