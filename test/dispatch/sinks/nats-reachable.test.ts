import { createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { reachableServers } from '../../../src/dispatch/sinks/nats-reachable.ts'
import { startNats } from '../../helpers/nats.ts'
import { freePort, until } from '../../helpers/server.ts'

/** Takes connections and says what it is told to, or nothing. */
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

t.test('servers that greet are taken, whatever the others do, and all are let go', async t => {
  const nats = await startNats()
  t.teardown(() => nats.stop())
  const silent = await startListener(t)
  const polite = await startListener(t, socket => socket.write('INFO {}\r\n'))
  const all = [silent.url, await nobody(), nats.url, polite.url]
  t.same(new Set(await reachableServers(all, AbortSignal.timeout(20_000))), new Set([nats.url, polite.url]))
  await until('both are let go', async () => silent.open.size + polite.open.size === 0)
})

t.test('who hangs up without a word is not waited for', async t => {
  const rude = await startListener(t, socket => socket.destroy())
  const patience = AbortSignal.timeout(20_000)
  await t.rejects(reachableServers([rude.url, await nobody()], patience))
  t.notOk(patience.aborted)
})

t.test('where none greets it is told in time, and no connection stays', async t => {
  const silent = await startListener(t)
  const rude = await startListener(t, socket => socket.destroy())
  const told = { message: 'no NATS server answers' }
  await t.rejects(reachableServers([silent.url, rude.url, await nobody()], AbortSignal.timeout(300)), told)
  await until('the silent one is let go', async () => silent.open.size === 0)
})
