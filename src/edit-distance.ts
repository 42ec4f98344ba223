// Tested by test/settings/warnings.test.ts
/** Whether the texts differ by one insertion, deletion, replacement, or swap of neighbours. */
export function isOneEditApart(one: string, other: string): boolean {
  if (one === other) return false
  const shorter = Math.min(one.length, other.length)
  let start = 0
  while (start < shorter && one[start] === other[start]) start++
  let end = 0
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end++
  const left = one.slice(start, one.length - end)
  const right = other.slice(start, other.length - end)
  if (left.length <= 1 && right.length <= 1) return true
  return left.length === 2 && right.length === 2 && left[0] === right[1] && left[1] === right[0]
}
