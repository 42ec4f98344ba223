// Tested by test/tools/status/webhook-problems.test.ts.
import type { WebhookState } from '../../ops/outcomes.ts'

interface Advice {
  readonly severity: 'error' | 'warning'
  readonly consequence: string
  readonly fix: string
}

const LOST = 'Customer.io sends no events here, and does not send those of this time later.'
const apply = (endpoint: string): string => `cio-webhook connect ${endpoint} --apply`

/** What follows from a state, and what to do; `undefined` if nothing is wrong. */
export function adviceOn(state: WebhookState, endpoint: string, webhook: string): Advice | undefined {
  switch (state) {
    case 'ok':
      return undefined
    case 'deleted':
      return { severity: 'error', consequence: LOST, fix: `cio-webhook connect ${endpoint}` }
    case 'elsewhere':
      return { severity: 'error', consequence: LOST, fix: `${apply(endpoint)} --webhook ${webhook}` }
    case 'disabled':
      return { severity: 'error', consequence: LOST, fix: apply(endpoint) }
    case 'unknown_key':
      return {
        severity: 'error',
        consequence:
          'Its deliveries get 401. Customer.io retries them for 7 days, and later events wait behind them.',
        fix: `cio-webhook connect ${endpoint} --key asks for the key that Customer.io shows beside the webhook`
      }
    case 'incomplete':
      return {
        severity: 'error',
        consequence: 'Events of these types are not sent, and are lost.',
        fix: apply(endpoint)
      }
    case 'duplicated':
      return {
        severity: 'warning',
        consequence:
          'Customer.io sends each event once per webhook. If their ids differ, consumers get it twice.',
        fix: 'disable or delete all but one of them at Customer.io'
      }
    case 'unchecked':
      return {
        severity: 'warning',
        consequence: 'It is not noticed if the webhook is disabled, deleted or changed.',
        fix: 'cio-webhook connect status'
      }
  }
}
