// Tested by test/console/access.test.ts.
/** A field of a form or a query; `undefined` if it is missing or there several times. */
export function field(from: unknown, name: string): string | undefined {
  const value = fieldValue(from, name)
  return typeof value === 'string' ? value : undefined
}

/** The values of a field that may be there several times, such as checked boxes. */
export const fields = (from: unknown, name: string): readonly string[] =>
  [fieldValue(from, name)].flat().filter(value => typeof value === 'string')

function fieldValue(from: unknown, name: string): unknown {
  if (typeof from !== 'object' || from === null) return undefined
  return new Map<string, unknown>(Object.entries(from)).get(name)
}
