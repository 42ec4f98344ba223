import t from 'tap'
import { startCustomerIo } from '../helpers/customer-io.ts'
import { serveMessages } from '../helpers/fake-messages.ts'
import { ENDPOINT, fakeWebhook } from '../helpers/reporting-webhook.ts'
import { startStack, withAppApi } from '../helpers/stack.ts'
import { stepsOf, walk } from '../helpers/walkthrough.ts'

t.setTimeout(600_000)

/** These end with 1 if they find something. */
const orFindings = (command: string) => async () => `${command} || test $? = 1`

t.test('each command of the runbook runs', async t => {
  const cio = await startCustomerIo(t)
  serveMessages(cio, [])
  cio.appKeys.add('app-key')
  cio.webhooks.push(fakeWebhook({ disabled: true }))
  const { env, folder, names, writeLog: prepare } = await startStack(t, withAppApi(cio))
  const steps = stepsOf('docs/runbook.md')
  t.ok(steps.length > 20)
  const doctor = 'cio-webhook doctor https://hooks.example.com/api/cio/webhook'
  await walk(t, steps, {
    env,
    folder,
    names: { ...names, 'redis-cli': `redis-cli -u ${env['REDIS_URL']}` },
    prepare,
    actions: {
      'cio-webhook status': orFindings('cio-webhook status'),
      // The port is in use by the service.
      'cio-webhook serve --check': async () => 'PORT=0 CONSOLE_PORT=0 cio-webhook serve --check',
      'cio-webhook connect status || test $? = 1': async () =>
        `cio-webhook connect ${ENDPOINT} --apply --yes; cio-webhook connect status`,
      // The service opens the message index some seconds after its start.
      'cio-webhook reconcile || test $? = 1': async () =>
        'until cio-webhook reconcile || test $? = 1; do sleep 1; done',
      [doctor]: orFindings('cio-webhook doctor http://localhost:3000/api/cio/webhook')
    }
  })
})
