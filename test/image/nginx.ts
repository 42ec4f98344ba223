import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, type RunningServer, startServer, temporaryFolder } from '../helpers/server.ts'
import { ask } from './client.ts'

interface Nginx extends RunningServer {
  readonly port: number
}

/** nginx as it stands in front of services everywhere: it adds the caller to `x-forwarded-for`. */
export async function startNginx(servicePort: number): Promise<Nginx> {
  const port = await freePort()
  const folder = temporaryFolder()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off;
user root;
pid ${folder}/pid;
error_log stderr warn;
events { worker_connections 128; }
http {
  access_log off;
  ${temporary.map(name => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 6m;
    location = /nginx { return 204; }
    location / {
      proxy_pass http://127.0.0.1:${servicePort};
      proxy_http_version 1.1;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`
  )
  const server = await startServer({
    command: 'nginx',
    args: ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
    folder,
    ready: () =>
      ask({ port, path: '/nginx' }).then(
        ({ status }) => status === 204,
        () => false
      )
  })
  return {
    ...server,
    port,
    stop: async signal => {
      await server.stop(signal)
      rmSync(folder, { recursive: true })
    }
  }
}
