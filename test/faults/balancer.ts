import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startServer, temporaryFolder, until } from '../helpers/server.ts'

/** An haproxy in front of some replicas, configured as docs/deploy.md recommends. */
export interface Balancer {
  readonly port: number
  /** Resolves when it sends deliveries to this replica again. @param replica its index */
  up(replica: number): Promise<void>
  stop(): Promise<void>
}

/**
 * With `retry-on`, haproxy sends a delivery that got no response from a killed replica to another one. Deduplication
 * makes that safe.
 */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const port = await freePort()
  const folder = temporaryFolder()
  const path = join(folder, 'haproxy.cfg')
  writeFileSync(
    path,
    `global
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 5s
  timeout check 2s
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
frontend deliveries
  bind 127.0.0.1:${port}
  stats enable
  stats uri /haproxy
  default_backend replicas
backend replicas
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter 100ms fall 1 rise 1
${ports.map((replica, number) => `  server replica${number} 127.0.0.1:${replica}\n`).join('')}`
  )
  const states = async (): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}/haproxy;csv`, {
      signal: AbortSignal.timeout(2000)
    })
    return response.text()
  }
  const isUp = async (number: number): Promise<boolean> =>
    states().then(
      text => {
        const row = text.split('\n').find(line => line.startsWith(`replicas,replica${number},`))
        return row?.split(',')[17] === 'UP'
      },
      () => false
    )
  const server = await startServer({
    command: 'haproxy',
    args: ['-db', '-f', path],
    folder,
    ready: () => isUp(0)
  })
  return {
    port,
    up: async replica => void (await until(`replica ${replica} is up`, () => isUp(replica), 60_000)),
    stop: () => server.stop('SIGKILL')
  }
}
