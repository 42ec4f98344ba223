import { connect } from 'node:net'
import t from 'tap'
import { startServiceProcess } from '../../helpers/process.ts'
import { postText, sendRaw } from '../../helpers/raw-http.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { postTo } from '../../helpers/service.ts'
import { newBody, signV0, WEBHOOK_PATH } from '../../helpers/sign.ts'

t.setTimeout(120_000)

t.test(
  'on SIGTERM requests in flight are answered, later connections are refused, and the exit code is 0',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const service = await startServiceProcess({ REDIS_URL: redis.url, SHUTDOWN_DELAY_SECONDS: '2' })
    t.teardown(() => service.process.kill('SIGKILL'))

    const body = newBody()
    const text = postText(body, signV0(body))
    const slow = connect(service.port, '127.0.0.1')
    let answer = ''
    slow.on('data', chunk => {
      answer += chunk
    })
    slow.write(text.subarray(0, text.length - 3))
    await until('the request being there', async () => (await fetch(`${service.url}/healthz`)).ok)

    service.process.kill('SIGTERM')
    await until('the drain', async () => (await fetch(`${service.url}/readyz`)).status === 503)
    t.equal((await fetch(`${service.url}/healthz`)).status, 200, 'alive while it drains')
    t.equal(
      (await postTo(service.url + WEBHOOK_PATH, newBody())).status,
      200,
      'and deliveries are still taken'
    )
    const other = newBody()
    const tooLarge = postText('', { 'content-length': String(6 * 1024 * 1024) })
    const requests = [postText(other, signV0(other)), postText(other, {}), tooLarge]
    const answers = await Promise.all(requests.map(request => sendRaw(service.port, request)))
    t.same(
      answers.map(({ status, head }) => [status, /^connection: .*$/im.exec(head)?.[0].toLowerCase()]),
      [200, 401, 413].map(status => [status, 'connection: close']),
      'a load balancer does not reuse the connection of any answer'
    )
    await until('the listener closing', () =>
      fetch(`${service.url}/readyz`).then(
        () => false,
        () => true
      )
    )
    slow.write(text.subarray(text.length - 3))
    await until('the answer', async () => answer.includes('"status":"accepted"'))
    t.match(answer, /^HTTP\/1\.1 200/)
    t.equal(await service.ended, 0)
    t.match(service.output(), /"outcome":"accepted"/, 'the last log lines were written')
  }
)
