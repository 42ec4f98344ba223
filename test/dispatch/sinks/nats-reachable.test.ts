import { createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { reachableServers } from '../../../src/dispatch/sinks/nats-reachable.ts'
import { startNats } from '../../helpers/nats.ts'
import { freePort, until } from '../../helpers/server.ts'

/** Accepts connections, and sends a greeting or nothing. */
async function startListener(t: Test, greet: (socket: Socket) => void = () => {}) {
  const open = new Set<Socket>()
  const server: Server = createServer(socket => {
    open.add(socket)
    socket.on('error', () => {}).on('close', () => open.delete(socket))
    socket.resume()
    greet(socket)
  })
  const port = await freePort()
  server.listen(port, '127.0.0.1')
  t.teardown(() => server.close())
  return { url: `nats://127.0.0.1:${port}`, open }
}

const nobody = async (): Promise<string> => `nats://127.0.0.1:${await freePort()}`

t.test('servers that greet are found, whatever the others do, and all connections are closed', async t => {
  const nats = await startNats()
  t.teardown(() => nats.stop())
  const silent = await startListener(t)
  const polite = await startListener(t, socket => socket.write('INFO {}\r\n'))
  const all = [silent.url, await nobody(), nats.url, polite.url]
  t.same(new Set(await reachableServers(all, AbortSignal.timeout(20_000))), new Set([nats.url, polite.url]))
  await until('both are let go', async () => silent.open.size + polite.open.size === 0)
})

t.test('a server that closes the connection without a greeting is not waited for', async t => {
  const rude = await startListener(t, socket => socket.destroy())
  const patience = AbortSignal.timeout(20_000)
  await t.rejects(reachableServers([rude.url, await nobody()], patience))
  t.notOk(patience.aborted)
})

t.test('if none greets, it rejects in time, and no connection stays open', async t => {
  const silent = await startListener(t)
  const rude = await startListener(t, socket => socket.destroy())
  const servers = [silent.url, rude.url, await nobody()]
  await t.rejects(reachableServers(servers, AbortSignal.timeout(300)), {
    message: `no NATS server answers at ${servers.join(', ')}`
  })
  await until('the silent one is let go', async () => silent.open.size === 0)
})
