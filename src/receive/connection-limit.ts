import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Bounds what unknown peers can hold by connections alone. Beyond the limit the one that has been without a new
 * request for longest is closed.
 *
 * @param isKnown is this peer never to be cut off?
 */
export function limitConnections(
  server: Server,
  isKnown: (address: string) => boolean,
  maxConnections: number
): void {
  /** The least recently active first. */
  const unknown = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    if (isKnown(socket.remoteAddress ?? '')) return
    unknown.add(socket)
    socket.once('close', () => unknown.delete(socket))
    if (unknown.size <= maxConnections) return
    for (const oldest of unknown) {
      unknown.delete(oldest)
      oldest.destroy()
      return
    }
  })
  for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) {
    server.on(event, ({ socket }) => {
      if (unknown.delete(socket)) unknown.add(socket)
    })
  }
}
