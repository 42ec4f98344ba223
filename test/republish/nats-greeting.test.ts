import { createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { firstToGreet } from '../../src/republish/nats-greeting.ts'
import { startNats } from '../helpers/nats.ts'
import { freePort, until } from '../helpers/server.ts'

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

t.test('the first server that greets is taken, whatever the others do, and they are let go', async t => {
  const nats = await startNats()
  t.teardown(() => nats.stop())
  const silent = await startListener(t)
  t.equal(await firstToGreet([silent.url, await nobody(), nats.url], AbortSignal.timeout(20_000)), nats.url)
  await until('the silent one is let go', async () => silent.open.size === 0)
})

t.test('where none greets it is told in time, and no connection stays', async t => {
  const silent = await startListener(t)
  const rude = await startListener(t, socket => socket.destroy())
  await t.rejects(firstToGreet([silent.url, rude.url, await nobody()], AbortSignal.timeout(300)), {
    message: 'no NATS server answers'
  })
  await until('the silent one is let go', async () => silent.open.size === 0)
})
