import { adviceOn } from '../connect/advice.ts'
import type { Problem, StatusFacts } from './facts.ts'

/** The reporting webhooks at Customer.io, as the service has checked them last. */
export function webhookProblems({ webhooks }: Pick<StatusFacts, 'webhooks'>): readonly Problem[] {
  return webhooks.flatMap(check => {
    const { source, state, problem = state } = check
    const advice = adviceOn(check)
    if (state === 'ok' || advice === undefined) return []
    return [
      { id: `webhook_${state}`, summary: `Reporting webhook of the source ${source}: ${problem}.`, ...advice }
    ]
  })
}
