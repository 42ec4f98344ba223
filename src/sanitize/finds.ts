// Tested by test/sanitize/text-properties.test.ts
import type { Reading } from './decoded-text.ts'

/** The characters from `from` up to `to` are personal; `mask` is to stand in their place. */
export type Find = { readonly from: number; readonly to: number; readonly mask: string }

/** The positions in the source of finds in the decoded text. */
export function inSource(reading: Reading, finds: readonly Find[]): readonly Find[] {
  if (reading.text === reading.source) return finds
  return finds.map(({ from, to, mask }) => ({ from: reading.start(from), to: reading.end(to - 1), mask }))
}

/** `finds`, and those of `others` that overlap with none of them, in order. Both are in order. */
export function addSeparate(finds: readonly Find[], others: readonly Find[]): readonly Find[] {
  if (others.length === 0) return finds
  if (finds.length === 0) return others
  const all: Find[] = []
  let next = 0
  for (const other of others) {
    for (let find = finds[next]; find !== undefined && find.to <= other.from; find = finds[++next])
      all.push(find)
    const find = finds[next]
    if (find === undefined || other.to <= find.from) all.push(other)
  }
  return [...all, ...finds.slice(next)]
}

/** Both, in order, overlapping ones joined. */
export function unite(finds: readonly Find[], others: readonly Find[]): readonly Find[] {
  if (others.length === 0) return finds
  if (finds.length === 0) return others
  const all: Find[] = []
  for (const find of [...finds, ...others].sort((a, b) => a.from - b.from || b.to - a.to)) {
    const last = all.at(-1)
    if (last === undefined || find.from >= last.to) all.push(find)
    else if (find.to > last.to) all[all.length - 1] = { ...last, to: find.to }
  }
  return all
}

export function replaceFinds(text: string, finds: readonly Find[]): string {
  let result = ''
  let done = 0
  for (const { from, to, mask } of finds) {
    result += text.slice(done, from) + mask
    done = to
  }
  return finds.length === 0 ? text : result + text.slice(done)
}
