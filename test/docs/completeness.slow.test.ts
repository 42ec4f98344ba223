import { Redis } from 'ioredis'
import t from 'tap'
import { formatGenerations } from '../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../src/log/keys.ts'
import { createMessageIndex } from '../../src/log/message-index.ts'
import { Secret } from '../../src/secret.ts'
import { startCustomerIo } from '../helpers/customer-io.ts'
import { fakeMessage, serveMessages } from '../helpers/fake-messages.ts'
import { postTo } from '../helpers/service.ts'
import { newBody, signV0 } from '../helpers/sign.ts'
import { startStack, withAppApi } from '../helpers/stack.ts'
import { stepsOf, walk } from '../helpers/walkthrough.ts'

t.setTimeout(600_000)

const HOUR_MS = 3_600_000

t.test('each command of docs/completeness.md runs, against the documented API', async t => {
  const cio = await startCustomerIo(t)
  cio.appKeys.add('app-key')
  const { env, folder, names, service } = await startStack(t, withAppApi(cio))
  // A service begins its index a minute after its start.
  const redis = new Redis(env['REDIS_URL'] ?? '')
  const { messages } = partitionKeys('cio:', 0)
  const openedAtMs = Date.now() - 3 * HOUR_MS
  await redis.set(messages.keyId, createMessageIndex(new Secret(env['PII_HASH_KEY'] ?? '')).keyId)
  await redis.set(messages.generations, formatGenerations([{ number: 1, buckets: 256, openedAtMs }]))
  redis.disconnect()
  serveMessages(cio, [fakeMessage('M1', Math.floor((Date.now() - 2 * HOUR_MS) / 1000))])
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
