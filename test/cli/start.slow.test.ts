import { createServer } from 'node:net'
import t from 'tap'
import { runCommand } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { KEY } from '../helpers/sign.ts'

for (const workers of ['1', '2']) {
  t.test(`a port that is taken ends the start with 2 and says so: workers ${workers}`, async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const other = createServer()
    t.teardown(() => other.close())
    const port = await new Promise<number>(resolve =>
      other.listen(0, '127.0.0.1', () => {
        const address = other.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    )
    const {
      process: service,
      ended,
      output
    } = runCommand(['serve'], {
      HOST: '127.0.0.1',
      PORT: String(port),
      CIO_WEBHOOK_SECRET: KEY,
      REDIS_URL: redis.url,
      WORKERS: workers
    })
    t.teardown(() => service.kill('SIGKILL'))
    t.equal(await ended, 2)
    t.match(
      output(),
      `cio-webhook serve: PORT=${port} on HOST=127.0.0.1 can't be listened on (EADDRINUSE): give`
    )
    t.notMatch(output(), 'foresaw')
  })
}
