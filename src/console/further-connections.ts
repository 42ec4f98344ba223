// Tested by test/console/api.slow.test.ts.
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import type { ConsoleContext } from './context.ts'

/** Gives `work` a function that opens further connections, and closes them afterwards. */
export async function withConnections<T>(
  context: Pick<ConsoleContext, 'openBlocking'>,
  work: (openBlocking: () => RedisClient) => Promise<T>
): Promise<T> {
  const opened: RedisClient[] = []
  try {
    return await work(() => {
      const connection = context.openBlocking()
      connection.on('error', () => {}) // the command that fails reports it
      opened.push(connection)
      return connection
    })
  } finally {
    for (const connection of opened) disconnectRedis(connection)
  }
}
