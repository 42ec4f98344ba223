import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { request } from 'undici'
import type { Certificate } from './certificate.ts'
import { freePort, startServer, temporaryFolder } from './server.ts'

/** A server of OpenBao in memory, unsealed, with a key/value engine of version 2 at `secret/`. */
export interface OpenBao {
  readonly url: string
  /** The same server over TLS. */
  readonly tlsUrl: string
  readonly rootToken: string
  /** Calls the API as root. @throws for a status that is not 2xx */
  call(method: string, path: string, body?: object): Promise<Record<string, Record<string, unknown>>>
  /** Writes a secret, as `bao kv put secret/<path> value=<value>` does. */
  put(path: string, value: string): Promise<void>
  stop(): Promise<void>
}

/** @param command the path of bao or vault, see scripts/openbao-server.sh */
export async function startOpenBao(command: string, certificate: Certificate): Promise<OpenBao> {
  const [port, tlsPort, rootToken] = [await freePort(), await freePort(), 'root-token-0123456789']
  const config = join(temporaryFolder(), 'bao.hcl')
  writeFileSync(
    config,
    `listener "tcp" { address = "127.0.0.1:${tlsPort}"
      tls_cert_file = "${certificate.certFile}"
      tls_key_file = "${certificate.keyFile}" }`
  )
  const url = `http://127.0.0.1:${port}`
  const options = [`-dev-root-token-id=${rootToken}`, `-dev-listen-address=127.0.0.1:${port}`]
  const server = await startServer({
    command,
    args: ['server', '-dev', '-dev-no-store-token', ...options, `-config=${config}`],
    ready: () =>
      fetch(`${url}/v1/secret/config`, { headers: { 'x-vault-token': rootToken } }).then(
        reply => reply.ok,
        () => false
      )
  })
  const call: OpenBao['call'] = async (method, path, body) => {
    const reply = await request(`${url}/v1/${path}`, {
      method: method as 'GET',
      headers: { 'x-vault-token': rootToken },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await reply.body.text()
    if (reply.statusCode >= 300) throw new Error(`${method} ${path}: ${reply.statusCode} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  return {
    url,
    tlsUrl: `https://127.0.0.1:${tlsPort}`,
    rootToken,
    call,
    put: async (path, value) => void (await call('POST', `secret/data/${path}`, { data: { value } })),
    stop: server.stop
  }
}

/**
 * The part of the API of Kubernetes that a log-in needs: it reviews a token of a service account.
 *
 * @param tokens each valid token, and its service account as `namespace:name`
 * @returns its address
 */
export async function startTokenReview(t: Test, tokens: ReadonlyMap<string, string>): Promise<string> {
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const review = JSON.parse(Buffer.concat(chunks).toString())
    const account = tokens.get(review.spec.token)
    const status =
      account === undefined
        ? { authenticated: false, error: 'token not found' }
        : {
            authenticated: true,
            audiences: review.spec.audiences,
            user: { username: `system:serviceaccount:${account}`, uid: account }
          }
    response.writeHead(201, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ ...review, status }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
