import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, isListening, type RunningServer, startServer, temporaryFolder } from './server.ts'

export interface RunningProxy extends RunningServer {
  readonly port: number
}

/** An nginx that appends to `x-forwarded-for`, as described in the README. */
export async function startNginx(upstreamPort: number): Promise<RunningProxy> {
  const port = await freePort()
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'temp'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${folder}/temp;`
  )
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; pid ${folder}/pid; error_log stderr; worker_processes 1; events {}
     http {
       access_log off; ${temporary.join(' ')}
       server {
         listen 127.0.0.1:${port}; client_max_body_size 6m;
         location / {
           proxy_pass http://127.0.0.1:${upstreamPort};
           proxy_set_header x-forwarded-for $proxy_add_x_forwarded_for;
         }
       }
     }`
  )
  const args = ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', 'stderr']
  return { port, ...(await startServer({ command: 'nginx', args, folder, ready: () => isListening(port) })) }
}

/** An haproxy that adds `x-forwarded-for` and sends deliveries only to servers whose `/readyz` is 200. */
export async function startHaproxy(upstreamPorts: readonly number[]): Promise<RunningProxy> {
  const port = await freePort()
  const folder = temporaryFolder()
  const servers = upstreamPorts.map(
    (upstream, n) => `server s${n} 127.0.0.1:${upstream} check inter 200ms fall 1 rise 1`
  )
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    [
      'defaults',
      '  mode http',
      '  timeout connect 1s',
      '  timeout client 10s',
      '  timeout server 10s',
      '  option forwardfor',
      'frontend webhooks',
      `  bind 127.0.0.1:${port}`,
      '  default_backend service',
      'backend service',
      '  option httpchk GET /readyz',
      ...servers.map(server => `  ${server}`),
      ''
    ].join('\n')
  )
  const args = ['-f', join(folder, 'haproxy.cfg'), '-db']
  return {
    port,
    ...(await startServer({ command: 'haproxy', args, folder, ready: () => isListening(port) }))
  }
}
