import type { CustomerEvent } from './events.ts'

/** What a handler gets besides the event. */
export interface HandlerContext {
  /** Aborted when this member may no longer be the one that works on the event: what is not done yet is done again. */
  readonly signal: AbortSignal
  /** From 1. */
  readonly attempt: number
  readonly partition: number
  /** The entry's id in the stream. */
  readonly entryId: string
}

export type Handler = (event: CustomerEvent, context: HandlerContext) => Promise<unknown>

/** What an error was about, where it was about an entry. */
export interface ErrorContext {
  readonly partition: number
  readonly entryId: string
  readonly type: string
  readonly attempt: number
  /** Is it a dead letter now? Otherwise it is tried again. */
  readonly dead: boolean
}
