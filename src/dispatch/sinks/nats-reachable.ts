import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { withAnySignal } from '../../async/abort.ts'

const DEFAULT_PORT = 4222
/** Once one server has greeted, how long the others are waited for. */
const OTHERS_MS = 200

/**
 * Which servers to connect to: those that greet, as every NATS server does before anything else.
 *
 * The client (@nats-io/transport-node 3.4) forgets, open, the socket of a server that is reached and says nothing,
 * or that can't be reached at all, so each further attempt would cost a descriptor: it is given only servers that
 * are awake, and chooses among them.
 *
 * @param servers addresses, `nats://host:port`
 * @param signals when one of them aborts it is no longer waited for
 * @throws Error when none greets before that
 */
export async function reachableServers(
  servers: readonly string[],
  ...signals: readonly AbortSignal[]
): Promise<readonly string[]> {
  try {
    return await withAnySignal(signals, async enough => {
      const awake: string[] = []
      const greetings = servers.map(async server => {
        await greeting(server, enough)
        awake.push(server)
      })
      await Promise.any(greetings)
      await Promise.race([Promise.allSettled(greetings), sleep(OTHERS_MS, undefined, { ref: false })])
      return [...awake]
    })
  } catch (cause) {
    throw new Error('no NATS server answers', { cause })
  }
}

function greeting(server: string, signal: AbortSignal): Promise<void> {
  const { hostname, port } = new URL(server)
  const host = hostname.replace(/^\[|\]$/g, '')
  const socket = connect({ host, port: port === '' ? DEFAULT_PORT : Number(port), signal })
  return new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve())
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('it hung up')))
  }).finally(() => socket.destroy())
}
