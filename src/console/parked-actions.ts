// Tested by test/console/pages/parked.slow.test.ts and test/console/api.slow.test.ts.
import { parkedActions } from '../tools/parked/actions.ts'
import type { ConsoleContext } from './context.ts'

/** The actions of the command line, with the sources that the service has loaded. */
export function openParkedActions({ config, redis }: Pick<ConsoleContext, 'config' | 'redis'>) {
  const { log, secrets, sources, hashKey } = config
  return parkedActions({
    config: {
      log,
      secrets,
      loadSources: async () => sources,
      loadSourceSettings: async () => [...sources.values()],
      loadHashKey: async () => hashKey
    },
    redis
  })
}
