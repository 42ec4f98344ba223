import type { ProblemId } from '../../src/tools/status/facts.ts'
import type { World } from './world.ts'

/** Why a channel does not show a fault. */
interface NotShown {
  readonly notShown: string
}

/** A row of the table in docs/runbook.md: a fault, where it is shown, and the page that ends it. */
export interface Fault {
  readonly name: string
  /** Heading of its section in docs/runbook.md. */
  readonly section: string
  /** A log line that names it, and one that says that it is over. */
  readonly log: { readonly names: RegExp; readonly over?: RegExp } | NotShown
  /**
   * A series of `/metrics`, by a part of its name and labels, and whether its value shows the fault: of a counter, whether
   * it has risen since `before`.
   */
  readonly metric:
    | { readonly series: RegExp; readonly shows: (now: number, before: number) => boolean }
    | NotShown
  /** A problem of `cio-webhook status`, and words that its text must have. */
  readonly status:
    | {
        readonly id: ProblemId
        readonly says?: RegExp
        /** It counts the deliveries of the last hour, so it is gone an hour after the fault. */
        readonly lastHour?: true
        /** Further problems that follow from the fault. */
        readonly also?: readonly ProblemId[]
      }
    | NotShown
  /** By design, the fault is normal for this long; the test moves the clock by it. */
  readonly normalForSeconds?: number
  /** How soon the channels must show it. Default: a minute. */
  readonly limitSeconds?: number
  /** What the commands of the section print while it lasts. */
  readonly commandsPrint?: RegExp
  /** Settings of the service, besides those that every test has. */
  prepare(world: World): Promise<Acts>
}

/** What happens to the installation. */
export interface Acts {
  readonly begin: () => Promise<unknown>
  /** What the section says in words; its commands under "Do" are run afterwards. */
  readonly repair: () => Promise<unknown>
  /** One delivery of Customer.io while the fault lasts. Default: an event with the right key. */
  readonly deliver?: () => Promise<unknown>
  /** What must hold in the end, besides that deliveries are accepted and that no channel shows the fault. */
  readonly finally?: () => Promise<unknown>
}

export const rises = (now: number, before: number): boolean => now > before
export const isSet = (now: number): boolean => now === 1
