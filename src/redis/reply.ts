/** Turns a flat reply of Redis (field, value, field, value, …) into a map. A later value of a field replaces an earlier one. */
export function flatToMap<T>(flat: readonly T[]): ReadonlyMap<T, T> {
  const map = new Map<T, T>()
  for (const [index, value] of flat.entries()) {
    const field = flat[index - 1]
    if (index % 2 === 1 && field !== undefined) map.set(field, value)
  }
  return map
}
