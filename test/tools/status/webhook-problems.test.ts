import t from 'tap'
import { webhookStates } from '../../../src/ops/outcomes.ts'
import { webhookProblems } from '../../../src/tools/status/webhook-problems.ts'
import { ENDPOINT } from '../../helpers/reporting-webhook.ts'

t.test('each state but ok is a problem with a consequence and a command or a step', async t => {
  for (const state of webhookStates) {
    const webhooks = [{ source: 'crm', endpoint: ENDPOINT, webhook: '7', state, problem: 'it differs' }]
    const [problem] = webhookProblems({ webhooks })
    if (state === 'ok') t.equal(problem, undefined)
    else {
      t.match(problem, {
        id: `webhook_${state}`,
        summary: 'Reporting webhook of the source crm: it differs.',
        consequence: /\.$/,
        fix: /cio-webhook connect|at Customer\.io/
      })
    }
  }
})

t.test('events that are lost are an error, events that come twice a warning', async t => {
  const severityOf = (state: (typeof webhookStates)[number]) =>
    webhookProblems({ webhooks: [{ source: 'crm', endpoint: ENDPOINT, webhook: '7', state }] })[0]?.severity
  t.same(webhookStates.map(severityOf), [
    undefined,
    'error',
    'error',
    'error',
    'error',
    'error',
    'warning',
    'warning'
  ])
})

t.test('a fix names the source if the path does not, and the events if not all were connected', async t => {
  const fixOf = (changes: object) =>
    webhookProblems({
      webhooks: [{ source: 'default', endpoint: ENDPOINT, webhook: '7', state: 'disabled', ...changes }]
    })[0]?.fix
  t.equal(fixOf({}), `cio-webhook connect ${ENDPOINT} --apply`)
  t.equal(
    fixOf({ source: 'crm', events: ['email.*', 'push.opened'] }),
    `cio-webhook connect ${ENDPOINT} --source crm --events 'email.*' --events 'push.opened' --apply`
  )
})
