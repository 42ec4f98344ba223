import type { CustomerEvent } from './events.ts'

/** What a handler gets besides the event. */
export interface HandlerContext {
  /** Aborted when another member may handle the event: stop, because unfinished work will be repeated. */
  readonly signal: AbortSignal
  /** From 1. */
  readonly attempt: number
  readonly partition: number
  /** The entry's id in the stream. */
  readonly entryId: string
}

/** Your function. Its event is acknowledged when the promise resolves, and retried when it rejects. */
export type Handler = (event: CustomerEvent, context: HandlerContext) => Promise<unknown>
