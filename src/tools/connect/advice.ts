// Tested by test/tools/status/webhook-problems.test.ts and test/cli/connect/command.slow.test.ts.
import type { WebhookState } from '../../ops/outcomes.ts'
import { sourceOfEndpoint } from './endpoint.ts'

interface Advice {
  readonly severity: 'error' | 'warning'
  readonly consequence: string
  readonly fix: string
}

/** What was checked. */
interface Checked {
  readonly source: string
  readonly endpoint: string
  readonly webhook: string
  readonly state: WebhookState
  readonly events?: readonly string[] | undefined
}

const LOST = 'Customer.io sends no events here, and does not send those of this time later.'

/** `connect` as it was run: without the source and the events, it would refuse the URL, or add all other events. */
function connect({ source, endpoint, events = [] }: Checked, ...options: readonly string[]): string {
  const ofSource = sourceOfEndpoint(endpoint) === source ? [] : [`--source ${source}`]
  const globs = events.map(glob => `--events '${glob}'`)
  return ['cio-webhook connect', endpoint, ...ofSource, ...globs, ...options].join(' ')
}

/** What follows from a state, and what to do; `undefined` if nothing is wrong. */
export function adviceOn(checked: Checked): Advice | undefined {
  switch (checked.state) {
    case 'ok':
      return undefined
    case 'deleted':
      return { severity: 'error', consequence: LOST, fix: connect(checked) }
    case 'elsewhere':
      return {
        severity: 'error',
        consequence: LOST,
        fix: connect(checked, '--apply', `--webhook ${checked.webhook}`)
      }
    case 'disabled':
      return { severity: 'error', consequence: LOST, fix: connect(checked, '--apply') }
    case 'unknown_key':
      return {
        severity: 'error',
        consequence:
          'Its deliveries get 401. Customer.io retries them for 7 days, and later events wait behind them.',
        fix: `${connect(checked, '--key')} asks for the key that Customer.io shows beside the webhook`
      }
    case 'incomplete':
      return {
        severity: 'error',
        consequence: 'Events of these types are not sent, and are lost.',
        fix: connect(checked, '--apply')
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
