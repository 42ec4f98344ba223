import { createServer as createMetadataServer } from 'node:http'
import { createServer } from 'node:https'
import type { Certificate } from './certificate.ts'
import { createPlayedServer, type PlayedReply, type PlayedServer } from './played-server.ts'

/**
 * Google Secret Manager and the metadata server of a Google machine, as their documentation describes them
 * (https://cloud.google.com/secret-manager/docs/reference/rest, https://cloud.google.com/compute/docs/metadata/overview,
 * both read 2026-11-27). No emulator can be installed from a package registry.
 */
export interface PlayedGoogle {
  readonly url: string
  /** `host:port`, for GCE_METADATA_HOST. */
  readonly metadataHost: string
  readonly token: string
  /** The versions of each secret, oldest first. `undefined`: disabled. */
  readonly secrets: Map<string, (string | undefined)[]>
  /** Names that the service account may not read. */
  readonly denied: Set<string>
  readonly api: PlayedServer
  readonly metadata: PlayedServer
}

const PROJECT = 'played-project'

export async function playGoogle(certificate: Certificate): Promise<PlayedGoogle> {
  const secrets: PlayedGoogle['secrets'] = new Map()
  const denied = new Set<string>()
  const token = 'ya29.played-google-token'
  const error = (code: number, status: string): PlayedReply => {
    return { status: code, body: { error: { code, status, message: 'the message repeats nothing' } } }
  }

  const api = await createPlayedServer(createServer(certificate), ({ method, url, headers, body }) => {
    if (headers.authorization !== `Bearer ${token}`) return error(401, 'UNAUTHENTICATED')
    const path = /^\/v1\/projects\/([\w-]+)\/secrets\/([\w-]+)(?:\/versions\/(\w+))?:(\w+)$/.exec(url)
    const [, project, name = '', version, action] = path ?? []
    if (project !== PROJECT || denied.has(name)) return error(403, 'PERMISSION_DENIED')
    const versions = secrets.get(name)
    if (versions === undefined) return error(404, 'NOT_FOUND')
    const base = `projects/4711/secrets/${name}/versions`
    if (method === 'POST' && action === 'addVersion') {
      versions.push(Buffer.from(body.payload.data, 'base64').toString())
      return { status: 200, body: { name: `${base}/${versions.length}`, state: 'ENABLED' } }
    }
    const number = version === 'latest' ? versions.length : Number(version)
    if (number < 1 || number > versions.length) return error(404, 'NOT_FOUND')
    if (method === 'POST' && action === 'disable') {
      versions[number - 1] = undefined
      return { status: 200, body: { name: `${base}/${number}`, state: 'DISABLED' } }
    }
    const value = versions[number - 1]
    if (method !== 'GET' || action !== 'access') return error(404, 'NOT_FOUND')
    if (value === undefined) return error(400, 'FAILED_PRECONDITION')
    const payload = { data: Buffer.from(value).toString('base64') }
    return { status: 200, body: { name: `${base}/${number}`, payload } }
  })
  const metadata = await createPlayedServer(createMetadataServer(), ({ url, headers }) => {
    if (headers['metadata-flavor'] !== 'Google') return { status: 403, body: {} }
    const flavor = { 'metadata-flavor': 'Google' }
    if (/\/service-accounts\/default\/token/.test(url)) {
      return {
        status: 200,
        headers: flavor,
        body: { access_token: token, expires_in: 3599, token_type: 'Bearer' }
      }
    }
    if (/\/project\/project-id/.test(url)) return { status: 200, headers: flavor, body: PROJECT }
    if (/\/universe\/universe-domain/.test(url))
      return { status: 200, headers: flavor, body: 'googleapis.com' }
    return { status: 200, headers: flavor, body: {} }
  })
  return { url: api.url, metadataHost: new URL(metadata.url).host, token, secrets, denied, api, metadata }
}
