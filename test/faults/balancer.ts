import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startServer, temporaryFolder, until } from '../helpers/server.ts'

/** A real haproxy before some replicas, set up as the guide to deploying says. */
export interface Balancer {
  readonly port: number
  /** Resolves once it sends deliveries to the replica of this number again. */
  up(replica: number): Promise<void>
  stop(): Promise<void>
}

/**
 * `retry-on`: a delivery that a dying replica left unanswered is given to another one, at once. What is remembered
 * makes that safe: the second delivery of an id that was kept is a duplicate.
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
    up: async replica => void (await until(`replica ${replica} being up`, () => isUp(replica), 60_000)),
    stop: () => server.stop('SIGKILL')
  }
}
