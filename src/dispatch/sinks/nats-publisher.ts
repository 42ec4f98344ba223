// Tested by test/dispatch/sinks/nats.slow.test.ts and test/dispatch/sinks/nats-setup.test.ts.
import { type ApiError, JetStreamApiError } from '@nats-io/jetstream'
import {
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  NoRespondersError,
  TimeoutError
} from '@nats-io/transport-node'

interface JetStreamMessage {
  readonly subject: string
  readonly payload: string
  readonly headers: MsgHdrs
}

/**
 * Publishes to JetStream. It does what `publish` of the client does, with one wait per batch: the client creates three
 * errors with stack traces, a timer and five promises per message, which take more than half of its CPU time.
 */
export interface NatsPublisher {
  /**
   * Resolves once the broker has acknowledged every message. Rejects with its first error once it has answered all of
   * them, or at once if the connection is lost or a message is not permitted, or after `timeoutMs`.
   */
  publish(messages: readonly JetStreamMessage[], timeoutMs: number): Promise<void>
}

interface Batch {
  answered(index: number, answer: Msg): void
  reject(error: unknown): void
}

export function createNatsPublisher(connection: NatsConnection): NatsPublisher {
  const inbox = createInbox()
  const batches = new Map<string, Batch>()
  let created = 0
  connection.subscribe(`${inbox}.*.*`, {
    callback: (error, answer) => {
      if (error !== null) return rejectAll(error)
      const [batch = '', index] = answer.subject.slice(inbox.length + 1).split('.')
      batches.get(batch)?.answered(Number(index), answer)
    }
  })
  void connection.closed().then(error => rejectAll(error ?? new Error('the connection is closed')))
  void watchErrors()

  return {
    publish: async (messages, timeoutMs) => {
      const batch = String(created++)
      let unanswered = messages.length
      let failure: Error | undefined
      let timer: NodeJS.Timeout | undefined
      try {
        await new Promise<void>((resolve, reject) => {
          const answered = (index: number, answer: Msg): void => {
            failure ??= failureOf(answer, messages[index]?.subject ?? '')
            if (--unanswered > 0) return
            if (failure === undefined) resolve()
            else reject(failure)
          }
          batches.set(batch, { answered, reject })
          timer = setTimeout(() => reject(new TimeoutError()), timeoutMs)
          for (const [index, { subject, payload, headers }] of messages.entries()) {
            connection.publish(subject, payload, { headers, reply: `${inbox}.${batch}.${index}` })
          }
          if (messages.length === 0) resolve()
        })
      } finally {
        clearTimeout(timer)
        batches.delete(batch)
      }
    }
  }

  function rejectAll(error: Error): void {
    for (const { reject } of batches.values()) reject(error)
  }

  /** The broker reports a message that is not permitted on the connection, and does not answer it. */
  async function watchErrors(): Promise<void> {
    for await (const status of connection.status()) if (status.type === 'error') rejectAll(status.error)
  }
}

const NO_RESPONDERS = 503

function failureOf(answer: Msg, subject: string): Error | undefined {
  if (answer.data.length === 0 && answer.headers?.code === NO_RESPONDERS)
    return new NoRespondersError(subject)
  const { error, stream } = parse(answer)
  if (error !== undefined) return new JetStreamApiError(error)
  return stream === undefined ? new Error('the answer is not an acknowledgement') : undefined
}

/** A subscriber of the subject can answer too. If the callback threw, the client would read nothing more. */
function parse(answer: Msg): { readonly error?: ApiError; readonly stream?: string } {
  try {
    return answer.json() ?? {}
  } catch {
    return {}
  }
}
