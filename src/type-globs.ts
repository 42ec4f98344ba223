/** Does an event of this CloudEvents type concern whoever gave the globs? */
export type TypeMatcher = (type: string) => boolean

const PREFIX = 'io.customer.'
/** Names of object types and metrics are at most 64 characters each: see receive/event-type.ts. */
const GLOB = /^[a-z0-9_.*?]{1,129}$/i

/**
 * Compiles globs over `<object_type>.<metric>` (`email.*`, `*.bounced`, `customer.unsubscribed`): `*` is any run
 * of characters, none too, and `?` is one; upper and lower case differ. Without globs everything matches; what
 * has no object type is `unknown`.
 *
 * @throws TypeError that names the glob: one that could match nothing is a mistake
 */
export function compileTypeGlobs(globs: readonly string[] | undefined): TypeMatcher {
  if (globs === undefined) return () => true
  if (globs.length === 0) throw new TypeError('no types: leave them out for all events')
  for (const glob of globs) {
    if (GLOB.test(glob)) continue
    throw new TypeError(
      `not a glob over <object_type>.<metric>: ${JSON.stringify(glob)} (letters, digits, _ . * ? only)`
    )
  }
  return type => {
    const name = type.startsWith(PREFIX) ? type.slice(PREFIX.length) : type
    return globs.some(glob => matches(glob, name))
  }
}

/** In at most glob × text steps: a star that turns out too short is lengthened, and only the last one ever. */
function matches(glob: string, text: string): boolean {
  let inGlob = 0
  let inText = 0
  let star = -1
  let starEnd = 0
  while (inText < text.length) {
    const wanted = glob[inGlob]
    if (wanted === '*') {
      star = inGlob++
      starEnd = inText
    } else if (wanted === '?' || wanted === text[inText]) {
      inGlob++
      inText++
    } else if (star !== -1) {
      inGlob = star + 1
      inText = ++starEnd
    } else return false
  }
  while (glob[inGlob] === '*') inGlob++
  return inGlob === glob.length
}
