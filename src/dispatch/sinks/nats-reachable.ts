import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { socketHost } from '../../address.ts'
import { withAnySignal } from '../../async/abort.ts'
import { ReportedError } from '../../errors.ts'
import { brokerText } from '../failure.ts'

const DEFAULT_PORT = 4222
/** How long to wait for the other servers after the first greeting. */
const OTHERS_MS = 200

/**
 * The servers that send a greeting, as every NATS server does first.
 *
 * If a server is unreachable or silent, the client (@nats-io/transport-node 3.4) never closes its socket: each attempt
 * would leak a file descriptor. So the client gets only servers that answer.
 *
 * @param servers addresses, `nats://host:port`
 * @param signals the first that aborts ends the wait
 * @throws ReportedError if none has answered by then
 */
export async function reachableServers(
  servers: readonly string[],
  ...signals: readonly AbortSignal[]
): Promise<readonly string[]> {
  try {
    return await withAnySignal(signals, async any => {
      const reachable: string[] = []
      const greetings = servers.map(async server => {
        await greeting(server, any)
        reachable.push(server)
      })
      await Promise.any(greetings)
      await Promise.race([Promise.allSettled(greetings), sleep(OTHERS_MS, undefined, { ref: false })])
      return [...reachable]
    })
  } catch (error) {
    // The servers mostly fail for the same reason. Log lines show a chain of causes, not a list.
    const cause: unknown = error instanceof AggregateError ? error.errors.at(-1) : error
    throw new ReportedError(`no NATS server answers at ${servers.join(', ')}: ${brokerText(cause)}`, {
      cause
    })
  }
}

function greeting(server: string, signal: AbortSignal): Promise<void> {
  const url = new URL(server)
  const socket = connect({ host: socketHost(url), port: Number(url.port || DEFAULT_PORT), signal })
  return new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve())
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the server closed the connection without a greeting')))
  }).finally(() => socket.destroy())
}
