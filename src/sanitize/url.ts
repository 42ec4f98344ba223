/** A URL without its user info, query and fragment. Never throws, idempotent. */
export function cleanUrl(url: string): string {
  const end = url.search(/[?#]/)
  const kept = end === -1 ? url : url.slice(0, end)
  return kept.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1')
}
