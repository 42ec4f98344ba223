import { createSecureServer, type Http2SecureServer } from 'node:http2'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { inDays, makeCertificate } from '../../helpers/certificate.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { appendEvent } from '../../helpers/log.ts'
import { startServiceProcess } from '../../helpers/process.ts'
import { startRedis } from '../../helpers/redis.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { ids } from './open-consumer.ts'

const EVENTS = 60
const certificate = makeCertificate(join(temporaryFolder(), 'certificate'), {
  names: 'DNS:localhost',
  from: inDays(-1),
  until: inDays(2)
})

async function listen(server: Http2SecureServer | Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `https://localhost:${(server.address() as AddressInfo).port}/events`
}

t.test('HTTP/2 is used where the receiver offers it: requests share connections', async t => {
  const redis = await startRedis()
  const seen = {
    http2: new Set<string>(),
    http1: new Set<string>(),
    sessions: new Set<unknown>(),
    inFlight: 0,
    most: 0
  }
  const offers = createSecureServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    seen.sessions.add(request.stream.session)
    seen.most = Math.max(seen.most, ++seen.inFlight)
    request.resume().on('end', () =>
      setTimeout(() => {
        seen.inFlight--
        seen.http2.add(String(request.headers['webhook-id']))
        response.writeHead(204).end()
      }, 300)
    )
  })
  const lacks = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    request.resume().on('end', () => {
      seen.http1.add(`${request.httpVersion} ${request.headers['webhook-id']}`)
      response.writeHead(204).end()
    })
  })
  const service = await startServiceProcess({
    REDIS_URL: redis.url,
    NODE_EXTRA_CA_CERTS: certificate.certFile,
    CONSUMERS_FILE: consumersFile(
      httpConsumer('offers', await listen(offers), { http2: true, concurrency: 20 }),
      httpConsumer('lacks', await listen(lacks), { http2: true })
    )
  })
  t.teardown(async () => {
    service.process.kill('SIGTERM')
    await service.ended
    offers.close()
    lacks.closeAllConnections()
    lacks.close()
    await redis.stop()
  })
  const sent = ids('event', EVENTS)
  for (const id of sent) await appendEvent(redis.client, { id })
  await until('all', async () => seen.http2.size === EVENTS && seen.http1.size === EVENTS)
  t.same([...seen.http1].sort(), sent.map(id => `1.1 ${id}`).sort())
  t.ok(seen.most >= 15, `${seen.most} requests at once`)

  // At first there is a connection per request, because what the receiver offers is not known yet.
  seen.sessions.clear()
  seen.most = 0
  for (const id of ids('later', EVENTS)) await appendEvent(redis.client, { id })
  await until('all', async () => seen.http2.size === 2 * EVENTS)
  t.ok(seen.most >= 15, `${seen.most} requests at once`)
  t.ok(seen.sessions.size <= 3, `on ${seen.sessions.size} connections`)
})
