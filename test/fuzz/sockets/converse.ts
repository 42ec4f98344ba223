import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** One step on a socket. */
export type Step =
  | { readonly send: Buffer }
  | { readonly waitMs: number }
  /** Half-close: nothing more is sent, but responses are read. */
  | { readonly end: true }
  /** TCP reset. */
  | { readonly reset: true }

interface Answer {
  readonly status: number
  readonly head: string
  readonly body: string
}

export interface Conversation {
  readonly answers: readonly Answer[]
  /** Received bytes after the last complete response. */
  readonly rest: string
  readonly ended: 'by client' | 'by server' | 'by timeout'
  readonly tookMs: number
}

const CHECK_MS = 10

/**
 * Performs the steps on a socket, and reads responses until the server closes it, the awaited number has come followed
 * by silence, or the time is over. Never rejects: a reset ends the conversation.
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
      return conversation('by client')
    }
  }
  const endMs = performance.now() + options.patienceMs
  for (;;) {
    await Promise.race([sleep(CHECK_MS), closed])
    if (over) return conversation('by server')
    const now = performance.now()
    const enough = parseAnswers(Buffer.concat(received).toString('latin1')).answers.length >= options.awaited
    if (enough && now - lastMs > options.silenceMs) return conversation('by client')
    if (now > endMs) return conversation('by timeout')
  }
}

/** All final responses in a stream of bytes; interim ones (100 Continue) are skipped. */
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
