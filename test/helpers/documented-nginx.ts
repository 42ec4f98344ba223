import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Certificate } from './certificate.ts'
import { freePort, isListening, type RunningServer, startServer, temporaryFolder } from './server.ts'

export interface DocumentedNginx extends RunningServer {
  readonly port: number
  /** Scheme, host and port. */
  readonly origin: string
}

/** nginx connects to the service from this address, so that the proxy is trusted and a caller at 127.0.0.1 is not. */
export const PROXY_ADDRESS = '127.0.0.9'

const page = new URL('../../../docs/deploy.md', import.meta.url)

/** nginx with the configuration from docs/deploy.md; only ports, files and addresses are replaced. */
export async function startDocumentedNginx(
  servicePort: number,
  certificate?: Certificate
): Promise<DocumentedNginx> {
  const port = await freePort()
  const folder = temporaryFolder()
  const path = (name: string): string => join(folder, name)
  if (certificate !== undefined) {
    writeFileSync(path('cert.pem'), certificate.cert)
    writeFileSync(path('key.pem'), certificate.key)
  }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(name => `${name}_temp_path ${path(name)};`)
    .join(' ')
  writeFileSync(
    path('nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; pid ${path('pid')}; error_log stderr; worker_processes 1;
events {}
http {
  access_log off; ${temporary}
  proxy_bind ${PROXY_ADDRESS};
${localized(documented(), certificate !== undefined)}
}
`
  )
  const server = await startServer({
    command: 'nginx',
    args: ['-p', folder, '-c', path('nginx.conf'), '-e', 'stderr'],
    folder,
    ready: () => isListening(port)
  })
  return {
    ...server,
    port,
    origin: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    stop: async signal => {
      await server.stop(signal)
      rmSync(folder, { recursive: true })
    }
  }

  function localized(block: string, tls: boolean): string {
    return block
      .replace('listen 443 ssl;', `listen 127.0.0.1:${port}${tls ? ' ssl' : ''};`)
      .replace(/^ *ssl_certificate .*$/m, tls ? `  ssl_certificate ${path('cert.pem')};` : '')
      .replace(/^ *ssl_certificate_key .*$/m, tls ? `  ssl_certificate_key ${path('key.pem')};` : '')
      .replaceAll('http://127.0.0.1:3000', `http://127.0.0.1:${servicePort}`)
  }
}

function documented(): string {
  const block = /^```nginx\n(.*?)^```$/ms.exec(readFileSync(page, 'utf8'))?.[1]
  if (block === undefined) throw new Error('docs/deploy.md has no nginx block')
  return block
}
