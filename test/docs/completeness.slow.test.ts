import t from 'tap'
import { startCustomerIo } from '../helpers/customer-io.ts'
import { serveMessages } from '../helpers/fake-messages.ts'
import { postTo } from '../helpers/service.ts'
import { newBody, signV0 } from '../helpers/sign.ts'
import { startStack, withAppApi } from '../helpers/stack.ts'
import { stepsOf, walk } from '../helpers/walkthrough.ts'

t.setTimeout(180_000)

t.test('each command of docs/completeness.md runs, against the documented API', async t => {
  const cio = await startCustomerIo(t)
  cio.appKeys.add('app-key')
  serveMessages(cio, [])
  const { env, folder, names, service } = await startStack(t, withAppApi(cio))
  const verify = 'cio-webhook connect https://hooks.example.com/api/cio/webhook --verify --wait 60s'
  let sender: NodeJS.Timeout | undefined
  t.teardown(() => clearInterval(sender))
  const deliver = (): void => {
    const body = newBody()
    void postTo(`${service.url}/api/cio/webhook`, body, signV0(body, 'the-key-of-the-service'))
  }
  const steps = stepsOf('docs/completeness.md')
  t.ok(steps.length >= 5)
  await walk(t, steps, {
    env,
    folder,
    names,
    actions: {
      [verify]: async () => {
        sender = setInterval(deliver, 1000)
        return verify
      },
      // The service opens the message index some seconds after its start.
      'cio-webhook reconcile || test $? = 1': async () =>
        'until cio-webhook reconcile || test $? = 1; do sleep 1; done'
    }
  })
  t.match(cio.webhooks, [{ endpoint: 'https://hooks.example.com/api/cio/webhook', full_resolution: true }])
  t.equal(cio.webhooks.length, 1)
})
