import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { runToEnd } from '../helpers/command.ts'
import { startServiceProcess } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, isListening, startServer, temporaryFolder } from '../helpers/server.ts'
import { KEY, newBody, signV0, WEBHOOK_PATH } from '../helpers/sign.ts'
import { goTool } from './chart.ts'

t.setTimeout(600_000)

const CADDYFILE = resolve('examples/caddy/Caddyfile')

t.test('docker-compose accepts the override, and asks for the host name', async t => {
  const config = (env: NodeJS.ProcessEnv) =>
    spawnSync(
      'docker-compose',
      ['-f', 'docker-compose.yml', '-f', 'examples/caddy/docker-compose.override.yml', 'config'],
      { encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } }
    )
  const { status, stdout, stderr } = config({ CIO_HOST: 'hooks.example.com' })
  t.equal(status, 0, stderr)
  t.match(stdout, /CIO_HOST: hooks\.example\.com/)
  t.match(config({}), { status: 1, stderr: /set it to the host name/ })
})

t.test('Caddy accepts its file, for a host name with a certificate', async t => {
  const { status, stderr } = spawnSync(goTool('caddy'), ['validate', '--config', CADDYFILE], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: temporaryFolder(), CIO_HOST: 'hooks.example.com' }
  })
  t.equal(status, 0, stderr)
})

t.test(
  'through Caddy, the webhook passes every check, the rest stays internal, and an outage is 503',
  async t => {
    const redis = await startRedis({ appendonly: 'yes' })
    const service = await startServiceProcess({ REDIS_URL: redis.url, TRUSTED_PROXIES: '127.0.0.1' })
    const port = await freePort()
    const folder = temporaryFolder()
    const caddy = await startServer({
      command: goTool('caddy'),
      args: ['run', '--config', CADDYFILE],
      folder,
      env: {
        HOME: folder,
        XDG_DATA_HOME: folder,
        CIO_HOST: `http://127.0.0.1:${port}`,
        CIO_PORT: String(service.port)
      },
      ready: () => isListening(port)
    })
    t.teardown(async () => {
      await caddy.stop()
      await redis.stop()
      rmSync(folder, { recursive: true })
    })
    const url = `http://127.0.0.1:${port}`
    const post = async (headers: Record<string, string> = {}): Promise<number> => {
      const body = newBody()
      const response = await fetch(url + WEBHOOK_PATH, {
        method: 'POST',
        body,
        headers: { ...signV0(body), ...headers }
      })
      return response.status
    }
    t.equal(await post(), 200)
    t.equal(
      await post({ 'x-forwarded-for': '203.0.113.9' }),
      200,
      'an invented source address does not count'
    )
    t.equal((await fetch(`${url}/healthz`)).status, 200)
    for (const path of ['/metrics', '/readyz', '/']) t.equal((await fetch(url + path)).status, 404, path)
    const { code, stdout } = await runToEnd(['doctor', url + WEBHOOK_PATH], { CIO_WEBHOOK_SECRET: KEY })
    t.equal(code, 0, stdout)

    service.process.kill('SIGTERM')
    await service.ended
    const away = await fetch(url + WEBHOOK_PATH, { method: 'POST', body: '{}' })
    t.same([away.status, away.headers.get('retry-after')], [503, '5'])
  }
)
