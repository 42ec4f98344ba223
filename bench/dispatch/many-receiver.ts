import { createServer } from 'node:http'
import { indexOf } from './log.ts'

/*
 * The endpoints of many consumers in one process. Arguments: the port of those that are always up, the port of the one
 * that can be down, and the number of events. The last part of the path is the consumer. Messages: `up` and `down`
 * open and close the second port, `seen` does nothing. Each is answered with what has arrived so far.
 */

export interface Arrivals {
  /** Different events, by consumer. */
  readonly events: Readonly<Record<string, number>>
  /** Events that came again. */
  readonly repeats: number
}

const [, , port, otherPort, events] = process.argv.map(Number)
const arrived = new Map<string, Uint8Array>()
let repeats = 0

const listener: Parameters<typeof createServer>[1] = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    const consumer = request.url?.split('/').at(-1) ?? ''
    const seen = arrived.get(consumer) ?? new Uint8Array(events ?? 0)
    arrived.set(consumer, seen)
    const index = indexOf(Buffer.concat(chunks).toString())
    if (seen[index] === 1) repeats++
    seen[index] = 1
    response.writeHead(204).end()
  })
}
const server = createServer(listener)
const other = createServer(listener)

process.on('message', message => {
  if (message === 'up') other.listen(otherPort, '127.0.0.1', answer)
  else if (message === 'down') {
    other.close(answer)
    other.closeAllConnections()
  } else answer()
})
process.on('disconnect', () => process.exit())
server.listen(port, '127.0.0.1', () => process.send?.('ready'))

function answer(): void {
  const counts = [...arrived].map(([consumer, seen]) => [consumer, seen.reduce((sum, one) => sum + one, 0)])
  process.send?.({ events: Object.fromEntries(counts), repeats } satisfies Arrivals)
}
