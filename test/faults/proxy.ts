import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { count } from './ledger.ts'

/**
 * What happens to held bytes: they are forwarded or dropped, or both connections are reset. After `drop` the connection
 * stays silent, since TCP never loses bytes in the middle of a stream.
 */
export type HeldBytes = 'forward' | 'drop' | 'reset'
type Moment = 'before the script' | 'after the script'

/** A TCP proxy between the service and Redis that can inject faults. */
export interface RedisProxy {
  readonly port: number
  /** Holds the next append or its reply and runs `act`, which decides about the held bytes. Resolves after that. */
  atNext(moment: Moment, act: () => Promise<HeldBytes>): Promise<void>
  /** Resets every connection. */
  cut(): void
  /** Delays all bytes for some time. */
  stall(ms: number): Promise<void>
  /** Silences every open connection permanently, as if the peer had vanished, and new ones for `ms`. */
  halfOpen(ms: number): Promise<void>
  /** By event id: how often an append of the event was sent to Redis. */
  readonly appendsSeen: ReadonlyMap<string, number>
  close(): Promise<void>
}

interface Trap {
  readonly moment: Moment
  readonly act: () => Promise<HeldBytes>
  readonly done: () => void
}

interface Wire {
  readonly client: Socket
  readonly server: Socket
  dead: boolean
}

const DONE = '$4\r\ndone\r\n'
const EVENT_ID = /"specversion":"1\.0","id":"([^"]+)"/g

/**
 * @param upstreamPort port of Redis; called for each connection
 * @param main path of the service, whose append script identifies an append
 */
export async function startProxy(upstreamPort: () => number, main: string): Promise<RedisProxy> {
  const script = readFileSync(join(dirname(main), '../log/append.lua'), 'utf8')
  // EVALSHA sends the digest, EVAL the text.
  const marks = [createHash('sha1').update(script).digest('hex'), script.slice(0, 60)]
  const wires = new Set<Wire>()
  const appendsSeen = new Map<string, number>()
  let trap: Trap | undefined
  let stalled: Promise<void> = Promise.resolve()
  let vanishedUntilMs = 0

  const listener = createServer(client => {
    const server = dial(upstreamPort(), '127.0.0.1')
    const wire: Wire = { client, server, dead: performance.now() < vanishedUntilMs }
    wires.add(wire)
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => drop(wire))
    }
    client.on('data', chunk => void carry(wire, chunk, 'before the script'))
    server.on('data', chunk => void carry(wire, chunk, 'after the script'))
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()

  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    appendsSeen,
    atNext: (moment, act) =>
      new Promise(done => {
        trap = { moment, act, done }
      }),
    cut: () => {
      for (const wire of wires) drop(wire)
    },
    stall: async ms => {
      stalled = new Promise(resolve => setTimeout(resolve, ms))
      await stalled
    },
    halfOpen: async ms => {
      vanishedUntilMs = performance.now() + ms
      for (const wire of wires) wire.dead = true
      await new Promise(resolve => setTimeout(resolve, ms))
    },
    close: async () => {
      for (const wire of wires) drop(wire)
      listener.close()
      await once(listener, 'close')
    }
  }

  async function carry(wire: Wire, chunk: Buffer, moment: Moment): Promise<void> {
    const [from, to] =
      moment === 'before the script' ? [wire.client, wire.server] : [wire.server, wire.client]
    const text = chunk.toString('latin1')
    if (moment === 'before the script')
      for (const [, id = ''] of text.matchAll(EVENT_ID)) count(appendsSeen, id)
    if (wire.dead) return
    from.pause()
    await stalled
    let held: HeldBytes = wire.dead ? 'drop' : 'forward'
    if (trap?.moment === moment && isAt(moment, text)) {
      const { act, done } = trap
      trap = undefined
      held = await act()
      done()
    }
    if (held === 'reset') drop(wire)
    else if (held === 'forward') to.write(chunk)
    else wire.dead = true
    from.resume()
  }

  function isAt(moment: Moment, text: string): boolean {
    return moment === 'before the script' ? marks.some(mark => text.includes(mark)) : text.includes(DONE)
  }

  function drop(wire: Wire): void {
    if (!wires.delete(wire)) return
    wire.client.resetAndDestroy()
    wire.server.destroy()
  }
}
