import { errorCode } from '../../errors.ts'
/** What a rotation did, for people and programs alike. Keys appear by their ids only. */
export interface RotationReport {
  /** `failed`: something is not as it must be, or not yet. `impossible`: a step could not be tried at all. */
  readonly outcome: 'done' | 'nothing_to_do' | 'would_do' | 'failed' | 'impossible'
  readonly steps: readonly Step[]
  /** What the operator does now, in order. */
  readonly next: readonly string[]
}

export interface Step {
  readonly step: string
  readonly ok: boolean
  readonly detail: string
}

/** Ends a rotation at a step. Nothing was changed, or what was changed is changed back. */
export class RotationStopped extends Error {
  readonly outcome: 'failed' | 'impossible'
  readonly next: readonly string[]

  constructor(outcome: 'failed' | 'impossible', detail: string, next: readonly string[]) {
    super(detail)
    this.name = 'RotationStopped'
    this.outcome = outcome
    this.next = next
  }
}

export interface Steps {
  /** Does one step: what it returns is its detail. A step that throws ends the rotation. */
  run<T>(step: string, act: () => Promise<readonly [result: T, detail: string]>): Promise<T>
  done(outcome: 'done' | 'nothing_to_do' | 'would_do', next: readonly string[]): RotationReport
}

/** Runs the steps of `act`, and tells of each; also of the one it ended at. */
export async function reportSteps(act: (steps: Steps) => Promise<RotationReport>): Promise<RotationReport> {
  const taken: Step[] = []
  try {
    return await act({
      run: async (step, one) => {
        try {
          const [result, detail] = await one()
          taken.push({ step, ok: true, detail })
          return result
        } catch (error) {
          const stopped = error instanceof RotationStopped ? error : asStopped(error)
          if (stopped === undefined) throw error
          taken.push({ step, ok: false, detail: stopped.message })
          throw stopped
        }
      },
      done: (outcome, next) => ({ outcome, steps: taken, next })
    })
  } catch (error) {
    if (!(error instanceof RotationStopped)) throw error
    return { outcome: error.outcome, steps: taken, next: error.next }
  }
}

/** A place that can't be written or read, said in its own words. */
function asStopped(error: unknown): RotationStopped | undefined {
  if (!(error instanceof Error)) return undefined
  if (error.name === 'ReadOnlySecretError') {
    return new RotationStopped('impossible', error.message, ['Nothing was changed.'])
  }
  const code = errorCode(error) ?? error.name
  return new RotationStopped('impossible', `could not be done (${code})`, [
    'Mend this and run the command again: what is done already is found done.'
  ])
}
