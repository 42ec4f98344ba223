import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t, { type Test } from 'tap'
import { limitUnknownPeers } from '../../src/http/unknown-peers.ts'

/** A server for which every peer is unknown. @param parsed called for each request and each chunk of a body */
async function listen(t: Test, handle: RequestListener, parsed = () => {}): Promise<number> {
  const server = createServer()
  const unknownPeers = limitUnknownPeers(server, () => false, 100)
  server.on('request', (request, response) => {
    parsed()
    if (unknownPeers.admit(request, response)) handle(request, response)
    const push = request.push.bind(request)
    request.push = (chunk, encoding) => {
      parsed()
      return push(chunk, encoding)
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** @returns what the server answered until the connection was closed */
function send(port: number, text: string): Promise<string> {
  return new Promise(resolve => {
    let received = ''
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {}) // a reset is expected
    socket.on('data', data => {
      received += data.toString('latin1')
    })
    socket.on('close', () => resolve(received))
    socket.write(text)
  })
}

t.test('a connection with too many pipelined requests is closed, and the rest is not parsed', async t => {
  let parsed = 0
  const port = await listen(
    t,
    (_request, response) => response.end(),
    () => parsed++
  )
  await send(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(5000))
  t.ok(parsed >= 33 && parsed < 300, `parsed: ${parsed}`)
})

for (const [name, handle] of [
  ['it is not read', () => {}],
  ['it was answered', (_request, response) => response.end()]
] satisfies [string, RequestListener][]) {
  t.test(`a body of small chunks closes the connection, also if ${name}`, async t => {
    let parsed = 0
    const port = await listen(t, handle, () => parsed++)
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
    await send(port, head + '1\r\nx\r\n'.repeat(10_000))
    t.ok(parsed > 1 && parsed < 1500, `parsed: ${parsed}`)
  })
}

t.test('a few pipelined requests are all answered, also if the client reads late', async t => {
  const answer = 'y'.repeat(64 * 1024)
  const port = await listen(t, (_request, response) => response.end(answer))
  const requests = `GET / HTTP/1.1\r\nhost: x\r\npad: ${'p'.repeat(200)}\r\n\r\n`.repeat(29)
  const last = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
  const received = await send(port, requests + last)
  t.equal(received.match(/HTTP\/1\.1 200/g)?.length, 30)
  t.equal(received.match(/y/g)?.length, 30 * answer.length)
})
