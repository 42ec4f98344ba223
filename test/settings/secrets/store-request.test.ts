import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { connectStore, StoreError } from '../../../src/settings/secrets/store-request.ts'
import { type Certificate, makeCertificate } from '../../helpers/certificate.ts'
import { temporaryFolder } from '../../helpers/server.ts'

// One test waits for a timeout.
t.jobs = 2

const TOKEN = 'a-token-of-the-store'
const HOUR_MS = 3_600_000

/** Sends one request with a token. @returns the reply, or the error */
async function send(t: Test, listener: RequestListener, token = TOKEN, tls?: Certificate) {
  const server =
    tls === undefined ? createServer(listener) : createTlsServer({ cert: tls.cert, key: tls.key }, listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const scheme = tls === undefined ? 'http' : 'https'
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const store = connectStore({ url, variable: 'VAULT_ADDR' })
  t.teardown(() => {
    store.close()
    server.close()
    server.closeAllConnections()
  })
  return store
    .send({ method: 'GET', path: '/v1/name', headers: { 'x-vault-token': token } })
    .catch((error: unknown) => error)
}

t.test('a redirect is not followed, so the token goes nowhere else', async t => {
  const requests: unknown[] = []
  const reply = await send(t, ({ url }, response) => {
    requests.push(url)
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  t.match(reply, { status: 307 })
  t.same(requests, ['/v1/name'])
})

t.test('a reply that is too large, or that never ends, is given up', async t => {
  const block = Buffer.alloc(64 * 1024, 'a')
  const tooLarge = send(t, (_, response) => {
    for (let blocks = 0; blocks < 64; blocks++) response.write(block)
    response.end()
  })
  t.match(await tooLarge, { message: /^no reply from \S+: UND_ERR_RES_EXCEEDED_MAX_SIZE; check VAULT_ADDR$/ })
  let timer: NodeJS.Timeout | undefined
  t.teardown(() => clearInterval(timer))
  const endless = send(t, (_, response) => {
    timer = setInterval(() => response.write(' '), 500)
  })
  t.match(await endless, {
    message: /^no reply from \S+: TimeoutError, no reply in time; check VAULT_ADDR$/
  })
})

t.test('a certificate is checked, whatever the process does with others', async t => {
  const certificate = makeCertificate(join(temporaryFolder(), 'tls'), {
    names: 'IP:127.0.0.1',
    from: new Date(Date.now() - HOUR_MS),
    until: new Date(Date.now() + HOUR_MS)
  })
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
  t.teardown(() => void delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
  const error = await send(t, (_, response) => response.end('{}'), TOKEN, certificate)
  t.match(error, { message: /DEPTH_ZERO_SELF_SIGNED_CERT, its certificate is not trusted/ })
})

t.test('no error shows the token', async t => {
  const errors = [
    await send(t, ({ socket }) => socket.destroy()),
    await send(t, (_, response) => response.end(), `${TOKEN}\n`)
  ]
  for (const error of errors) {
    t.type(error, StoreError)
    t.notMatch(inspect(error, { depth: 10, showHidden: true }), TOKEN)
  }
})
