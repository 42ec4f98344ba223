import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import t from 'tap'
import { postText, sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { signV0 } from '../helpers/sign.ts'

const CHANNEL = 'http.server.request.start'

const redis = await startRedis()
t.teardown(() => redis.stop())

for (const [signed, headers] of [
  ['an authentic', signV0('{}')],
  ['a forged', {}],
  ['a forwarded', { ...signV0('{}'), 'x-forwarded-for': '127.0.0.1' }]
] as const) {
  t.test(`a connection reset after ${signed} delivery does not count as unavailable`, async t => {
    const service = await startTestService({ REDIS_URL: redis.url, CIO_ALLOWED_IPS: '127.0.0.1' })
    t.teardown(() => service.close())
    // A connection that was reset between two system calls of the service has no remote address.
    const forget = (message: unknown): void => {
      const { socket } = message as { readonly socket: Socket }
      Object.defineProperty(socket, 'remoteAddress', { value: undefined })
    }
    subscribe(CHANNEL, forget)
    t.teardown(() => unsubscribe(CHANNEL, forget))

    t.equal((await sendRaw(service.port, postText('{}', headers))).status, 400, 'the answer is not read')
    const lines = service.logLines().filter(line => line['msg'] === 'delivery')
    t.match(lines, [{ outcome: 'aborted', address: 'unknown', err: undefined }])
    t.equal(lines.length, 1)
    t.same(await redis.client.keys('cio:events:*'), [], 'and it will come again')
  })
}
