import type { LoadHook } from 'node:module'
import { createInstrumenter } from 'istanbul-lib-instrument'

/** What is fuzzed. */
const FUZZED = /\/src\/(?:receive|sanitize)\/[^/]+\.js$/

const instrumenter = createInstrumenter({ esModules: true, compact: true, coverageVariable: '__coverage__' })

/** A module loader hook: the modules to be fuzzed count their statements and branches as they run. */
export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context)
  if (!FUZZED.test(url) || loaded.format !== 'module') return loaded
  return { ...loaded, source: instrumenter.instrumentSync(String(loaded.source), new URL(url).pathname) }
}
