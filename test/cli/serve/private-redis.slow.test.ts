import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { runCommand, startServiceProcess } from '../../helpers/process.ts'
import { until } from '../../helpers/server.ts'
import { postTo } from '../../helpers/service.ts'
import { KEY, WEBHOOK_PATH } from '../../helpers/sign.ts'

t.test('a private Redis does not outlive a service that is killed, and keeps what was answered', async t => {
  const service = await startServiceProcess({})
  const body = JSON.stringify({ event_id: 'kept', object_type: 'email', metric: 'sent' })
  t.equal((await postTo(service.url + WEBHOOK_PATH, body)).status, 200)
  await sleep(1100) // everysec: what is older than a second is on disk
  service.process.kill('SIGKILL')
  await service.ended
  const socket = join(service.folder, 'data/redis/redis.sock')
  await until('its Redis ending', async () => !existsSync(socket))

  const again = runCommand(
    ['serve'],
    { PORT: String(service.port), HOST: '127.0.0.1', CIO_WEBHOOK_SECRET: KEY },
    service.folder
  )
  t.teardown(() => again.process.kill('SIGTERM'))
  await until('the service', () =>
    fetch(`${service.url}/readyz`).then(
      response => response.ok,
      () => false
    )
  )
  t.equal((await postTo(service.url + WEBHOOK_PATH, body)).body['status'], 'duplicate')
})

t.test('two services do not share a DATA_DIR', async t => {
  const first = await startServiceProcess({})
  t.teardown(() => first.process.kill('SIGTERM'))
  const second = runCommand(['serve'], { PORT: '0', CIO_WEBHOOK_SECRET: KEY }, first.folder)
  t.equal(await second.ended, 2)
  t.match(second.output(), /^cio-webhook serve: DATA_DIR=\.\/data is in use by a running cio-webhook: .*\n$/)
  t.ok((await fetch(`${first.url}/readyz`)).ok, 'the first goes on')
})
