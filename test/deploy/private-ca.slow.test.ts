import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeCertificate } from '../helpers/certificate.ts'
import { runToEnd } from '../helpers/command.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder } from '../helpers/server.ts'
import { KEY } from '../helpers/sign.ts'

const HOUR_MS = 3_600_000

t.test('a Redis whose certificate a private CA signed is reached with NODE_EXTRA_CA_CERTS only', async t => {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  const now = Date.now()
  const { certFile, keyFile } = makeCertificate(join(folder, 'ca'), {
    names: 'DNS:localhost',
    from: new Date(now - HOUR_MS),
    until: new Date(now + HOUR_MS)
  })
  const port = String(await freePort())
  const redis = await startRedis({
    'tls-port': port,
    'tls-cert-file': certFile,
    'tls-key-file': keyFile,
    'tls-auth-clients': 'no'
  })
  t.teardown(() => redis.stop())
  const check = (env: Record<string, string>) =>
    runToEnd(['serve', '--check'], {
      REDIS_URL: `rediss://localhost:${port}`,
      CIO_WEBHOOK_SECRET: KEY,
      HOST: '127.0.0.1',
      PORT: '0',
      ...env
    })

  t.match(await check({}), { code: 1, stdout: /^fail {2}redis: .*certificate/m })
  t.match(await check({ NODE_EXTRA_CA_CERTS: certFile }), { code: 0, stdout: /^pass {2}redis permissions/m })
})
