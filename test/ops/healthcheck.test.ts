import { execFile } from 'node:child_process'
import { createServer, type RequestListener } from 'node:http'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { freePort } from '../helpers/server.ts'

const SCRIPT = fileURLToPath(new URL('../../src/ops/healthcheck.js', import.meta.url))

interface Verdict {
  readonly code: number
  readonly stderr: string
}

function check(env: Readonly<Record<string, string>>): Promise<Verdict> {
  return new Promise(resolve =>
    execFile(process.execPath, [SCRIPT], { env, timeout: 10_000 }, (error, _stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stderr })
    )
  )
}

function serve(t: Test, host: string, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return new Promise(resolve =>
    server.listen(0, host, () => {
      const address = server.address()
      resolve(String(typeof address === 'object' && address !== null ? address.port : 0))
    })
  )
}

const healthy: RequestListener = ({ url }, response) =>
  response.writeHead(url === '/healthz' ? 200 : 404).end()
const well = { code: 0, stderr: '' }

t.test('it sends the request to the address on which the service listens', async t => {
  for (const [listens, env] of [
    ['0.0.0.0', {}],
    ['0.0.0.0', { HOST: '0.0.0.0' }],
    ['::', { HOST: '::' }],
    ['127.0.0.5', { HOST: '127.0.0.5' }],
    ['::1', { HOST: '::1' }]
  ] as const) {
    const PORT = await serve(t, listens, healthy)
    t.same(await check({ ...env, PORT }), well, `${listens} ${JSON.stringify(env)}`)
  }
})

t.test('another response, none, and a late one are reported and end with 1', async t => {
  const broken = await serve(t, '127.0.0.1', (_request, response) => response.writeHead(500).end())
  t.same(await check({ PORT: broken }), { code: 1, stderr: '/healthz answers 500\n' })

  const closed = await freePort()
  t.same(await check({ PORT: String(closed) }), {
    code: 1,
    stderr: `connect ECONNREFUSED 127.0.0.1:${closed}\n`
  })

  const hanging = await serve(t, '127.0.0.1', () => {})
  t.same(await check({ PORT: hanging }), { code: 1, stderr: 'no response within 2000 ms\n' })
})
