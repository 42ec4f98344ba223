import { type AddressInfo, createServer, type Socket } from 'node:net'
import t from 'tap'
import { createReader } from '../../../src/settings/read-variables.ts'

t.test('an identity endpoint that never answers is given up, and named', async t => {
  const sockets: Socket[] = []
  const silent = createServer(socket => void sockets.push(socket))
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  // In a file of its own: the library keeps the endpoint for the whole process.
  process.env['IDENTITY_ENDPOINT'] = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/msi/token`
  process.env['IDENTITY_HEADER'] = 'hunter2'
  const { secrets } = createReader({
    SECRETS_PROVIDER: 'azure',
    AZURE_KEY_VAULT_URL: 'https://vault.invalid'
  })
  const startedMs = performance.now()
  await t.rejects(async () => secrets.find('cio-api-key')?.versions(), {
    name: 'StoreError',
    message: /^no token from Microsoft Entra ID: ETIMEDOUT; check the identity/
  })
  t.ok(performance.now() - startedMs < 20_000)
  secrets.close()
  // The request of the library is still open.
  silent.close()
  for (const socket of sockets) socket.destroy()
})
