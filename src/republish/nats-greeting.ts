import { once } from 'node:events'
import { connect } from 'node:net'
import { underAny } from './under-any.ts'

const DEFAULT_PORT = 4222

/**
 * Which server to connect to: the first that greets, as every NATS server does before anything else.
 *
 * The client (@nats-io/transport-node 3.4) forgets, open, the socket of a server that is reached and says nothing,
 * or that can't be reached at all, so each further attempt would cost a descriptor: it is given only servers that
 * are awake.
 *
 * @param servers addresses, `nats://host:port`
 * @param signals when one of them aborts it is no longer waited for
 * @throws Error when none greets before that
 */
export async function firstToGreet(
  servers: readonly string[],
  ...signals: readonly AbortSignal[]
): Promise<string> {
  try {
    return await underAny(signals, enough => Promise.any(servers.map(server => greeting(server, enough))))
  } catch (cause) {
    throw new Error('no NATS server answers', { cause })
  }
}

async function greeting(server: string, signal: AbortSignal): Promise<string> {
  const { hostname, port } = new URL(server)
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? DEFAULT_PORT : Number(port)
  })
  try {
    await once(socket, 'data', { signal })
    return server
  } finally {
    socket.on('error', () => {}).destroy()
  }
}
