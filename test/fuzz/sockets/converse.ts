import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is done on a socket, one after the other. */
export type Step =
  | { readonly send: Buffer }
  | { readonly waitMs: number }
  /** Half-closes: nothing more comes, but answers are read. */
  | { readonly end: true }
  /** TCP reset: gone without a word. */
  | { readonly reset: true }

export interface Answer {
  readonly status: number
  readonly head: string
  readonly body: string
}

export interface Conversation {
  readonly answers: readonly Answer[]
  /** What came that is no whole answer. */
  readonly rest: string
  /** Who ended it: we, the peer, or nobody in time. */
  readonly ended: 'we' | 'peer' | 'nobody'
  readonly tookMs: number
}

/** How often to look. */
const CHECK_MS = 10

/**
 * Says whatever on a socket, and reads the answers until the peer hangs up, has given as many as are awaited and
 * falls silent, or the time is over. Never rejects: a peer that resets has ended it.
 */
export async function converse(
  port: number,
  steps: readonly Step[],
  options: {
    readonly localAddress: string
    readonly awaited: number
    readonly silenceMs: number
    readonly patienceMs: number
  }
): Promise<Conversation> {
  const startedMs = performance.now()
  const received: Buffer[] = []
  let lastMs = startedMs
  let over = false
  const socket = connect({ port, host: '127.0.0.1', localAddress: options.localAddress })
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    received.push(chunk)
    lastMs = performance.now()
  })
  const closed = new Promise<void>(resolve =>
    socket.once('close', () => {
      over = true
      resolve()
    })
  )
  const conversation = (ended: Conversation['ended']): Conversation => {
    const tookMs = performance.now() - startedMs
    socket.destroy()
    return { ...parseAnswers(Buffer.concat(received).toString('latin1')), ended, tookMs }
  }

  for (const step of steps) {
    if (over) break
    if ('send' in step) socket.write(step.send)
    else if ('waitMs' in step) await Promise.race([sleep(step.waitMs), closed])
    else if ('end' in step) socket.end()
    else {
      socket.resetAndDestroy()
      return conversation('we')
    }
  }
  const endMs = performance.now() + options.patienceMs
  for (;;) {
    await Promise.race([sleep(CHECK_MS), closed])
    if (over) return conversation('peer')
    const now = performance.now()
    const enough = parseAnswers(Buffer.concat(received).toString('latin1')).answers.length >= options.awaited
    if (enough && now - lastMs > options.silenceMs) return conversation('we')
    if (now > endMs) return conversation('nobody')
  }
}

/** All final answers in a stream of bytes; interim ones (100 Continue) are none. */
export function parseAnswers(text: string): { readonly answers: readonly Answer[]; readonly rest: string } {
  const answers: Answer[] = []
  let at = 0
  for (;;) {
    const split = text.indexOf('\r\n\r\n', at)
    if (split === -1) break
    const head = text.slice(at, split)
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1])
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
    if (!(status > 0) || text.length < split + 4 + length) break
    const body = text.slice(split + 4, split + 4 + length)
    at = split + 4 + length
    if (status >= 200) answers.push({ status, head, body })
  }
  return { answers, rest: text.slice(at) }
}
