/** The place of an entry in the log, as text: `<partition>-<entry id>`. No two entries have the same. */
export type LogPosition = `${number}-${string}`

/** @param id the entry's id in its stream, `<unix milliseconds>-<sequence>` */
export const formatPosition = (partition: number, id: string): LogPosition => `${partition}-${id}`

export function parsePosition(position: LogPosition): { readonly partition: number; readonly id: string } {
  const dash = position.indexOf('-')
  return { partition: Number(position.slice(0, dash)), id: position.slice(dash + 1) }
}

/** An entry's id in its stream, `<unix milliseconds>-<sequence>`. */
export const isEntryId = (text: string): boolean => /^\d{1,20}-\d{1,20}$/.test(text)

export const isPosition = (text: string): text is LogPosition => /^\d+-\d+-\d+$/.test(text)

/** When an entry was appended, by the clock of Redis, unix milliseconds. */
export const entryTimeMs = (entryId: string): number => Number.parseInt(entryId, 10)
