import { once } from 'node:events'
import { createServer, connect as dial, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * `silent`: accepts connections and carries nothing, as if the peer had vanished. Connections that were open stay silent
 * afterwards, since TCP never loses bytes in the middle of a stream. `closing`: closes each connection at once, as a
 * load balancer without a server does. `slow`: each chunk arrives late. `down`: nothing listens.
 */
export type ProxyMode = 'forwarding' | 'silent' | 'closing' | 'slow' | 'down'

/** A TCP proxy on a fixed port. */
export interface TcpProxy {
  readonly port: number
  /** The port it forwards new connections to. */
  forwardTo(port: number): void
  set(mode: ProxyMode): Promise<void>
  /** Resets every connection. */
  cut(): void
  close(): Promise<void>
}

const SLOW_MS = 1500

/** @param port to listen on; 0: any */
export async function startTcpProxy(target: number, port = 0): Promise<TcpProxy> {
  let upstream = target
  let mode: ProxyMode = 'forwarding'
  /** Both sockets of each connection; `true`: silent for good. */
  const wires = new Map<readonly [Socket, Socket], boolean>()
  const server = createServer(client => {
    if (mode === 'closing') return client.destroy()
    const peer = dial(upstream, '127.0.0.1')
    const wire = [client, peer] as const
    wires.set(wire, mode === 'silent')
    for (const [from, to] of [wire, [peer, client] as const]) {
      from.setNoDelay(true)
      from.on('error', () => {})
      from.on('close', () => drop(wire))
      let passed: Promise<unknown> = Promise.resolve()
      from.on('data', chunk => {
        const arrived = mode === 'slow' ? sleep(SLOW_MS) : undefined
        // Never before an earlier chunk that is late: TCP keeps the order of bytes.
        passed = Promise.all([passed, arrived]).then(() => wires.get(wire) === false && to.write(chunk))
      })
    }
  })
  const listen = async (on: number): Promise<void> => {
    server.listen(on, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(port)
  const address = server.address()
  const ownPort = typeof address === 'object' && address !== null ? address.port : 0

  return {
    port: ownPort,
    forwardTo: to => {
      upstream = to
    },
    set: async next => {
      if (next === 'silent') for (const wire of wires.keys()) wires.set(wire, true)
      if (next === 'closing' || next === 'down') cut()
      if (next === 'down' && server.listening) server.close()
      if (next !== 'down' && !server.listening) await listen(ownPort)
      mode = next
    },
    cut,
    close: async () => {
      cut()
      server.close()
    }
  }

  function cut(): void {
    for (const wire of wires.keys()) drop(wire)
  }

  function drop(wire: readonly [Socket, Socket]): void {
    if (!wires.delete(wire)) return
    wire[0].resetAndDestroy()
    wire[1].destroy()
  }
}
