import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { count } from './ledger.ts'

/**
 * What becomes of the bytes that were held, once the act is over. After `swallow` the connection stays silent: TCP
 * never loses bytes in the middle.
 */
export type Fate = 'pass' | 'swallow' | 'cut'
export type Moment = 'before the script' | 'after the script'

/** A wire between the service and Redis that can be told to fail. */
export interface RedisProxy {
  readonly port: number
  /** Holds the next append (or its answer), runs the act, and lets the bytes meet their fate. Resolves after it. */
  atNext(moment: Moment, act: () => Promise<Fate>): Promise<void>
  /** Resets every connection. @returns how many */
  cut(): number
  /** Nothing passes for a while, then everything does. */
  stall(ms: number): Promise<void>
  /** Every connection goes silent for good, as if the peer had vanished; new ones too, for a while. */
  halfOpen(ms: number): Promise<void>
  /** How often each event was seen on its way to Redis. */
  readonly witnessed: ReadonlyMap<string, number>
  close(): Promise<void>
}

interface Trap {
  readonly moment: Moment
  readonly act: () => Promise<Fate>
  readonly sprung: () => void
}

interface Wire {
  readonly client: Socket
  readonly server: Socket
  dead: boolean
}

const DONE = '$4\r\ndone\r\n'
const EVENT_ID = /"specversion":"1\.0","id":"([^"]+)"/g

/**
 * @param upstreamPort where Redis listens; asked at each connection
 * @param main of the service that is to be heard: an append is known by its script
 */
export async function startProxy(upstreamPort: () => number, main: string): Promise<RedisProxy> {
  const script = readFileSync(join(dirname(main), '../log/append.lua'), 'utf8')
  // By its digest, or by its text where Redis did not know it.
  const marks = [createHash('sha1').update(script).digest('hex'), script.slice(0, 60)]
  const wires = new Set<Wire>()
  const witnessed = new Map<string, number>()
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
    witnessed,
    atNext: (moment, act) =>
      new Promise(sprung => {
        trap = { moment, act, sprung }
      }),
    cut: () => {
      const cut = [...wires]
      for (const wire of cut) drop(wire)
      return cut.length
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
      for (const [, id = ''] of text.matchAll(EVENT_ID)) count(witnessed, id)
    if (wire.dead) return
    from.pause()
    await stalled
    let fate: Fate = wire.dead ? 'swallow' : 'pass'
    if (trap?.moment === moment && springs(text, moment)) {
      const { act, sprung } = trap
      trap = undefined
      fate = await act()
      sprung()
    }
    if (fate === 'cut') drop(wire)
    else if (fate === 'pass') to.write(chunk)
    else wire.dead = true
    from.resume()
  }

  function springs(text: string, moment: Moment): boolean {
    return moment === 'before the script' ? marks.some(mark => text.includes(mark)) : text.includes(DONE)
  }

  function drop(wire: Wire): void {
    if (!wires.delete(wire)) return
    // A reset, not a goodbye, where the socket knows how.
    wire.client.resetAndDestroy()
    wire.server.destroy()
  }
}
