import type { LoadHook } from 'node:module'
import { createInstrumenter } from 'istanbul-lib-instrument'

/** The modules under fuzzing. */
const FUZZED = /\/src\/(?:receive|sanitize)\/[^/]+\.js$/

const instrumenter = createInstrumenter({ esModules: true, compact: true, coverageVariable: '__coverage__' })

/** A module loader hook: makes these modules count the statements and branches that they run. */
export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context)
  if (!FUZZED.test(url) || loaded.format !== 'module') return loaded
  return { ...loaded, source: instrumenter.instrumentSync(String(loaded.source), new URL(url).pathname) }
}
