import { randomBytes } from 'node:crypto'
import { createServer as createIdentityServer } from 'node:http'
import { createServer } from 'node:https'
import type { Certificate } from './certificate.ts'
import { createPlayedServer, type PlayedReply, type PlayedServer } from './played-server.ts'

interface Version {
  readonly id: string
  readonly value: string
  enabled: boolean
  readonly created: number
}

/**
 * Azure Key Vault, Microsoft Entra ID, and the managed identity of a container, as their documentation describes them
 * (https://learn.microsoft.com/rest/api/keyvault/secrets/, /entra/identity-platform/v2-oauth2-client-creds-grant-flow and
 * /azure/app-service/overview-managed-identity, all read 2026-11-27). No emulator can be installed from a package registry.
 */
export interface PlayedAzure {
  readonly vault: PlayedServer
  readonly entra: PlayedServer
  readonly identity: PlayedServer
  /** For IDENTITY_HEADER. */
  readonly identityHeader: string
  /** What an application or workload logs in with. */
  readonly clientSecret: string
  assertion: string
  readonly token: string
  readonly secrets: Map<string, Version[]>
  /** Names that the identity may not read. */
  readonly denied: Set<string>
  /** Adds a version, in a later second than the one before: the API has no finer time. */
  add(name: string, value: string): Version
}

/** Small, so that a list has several pages. */
const PAGE = 2

export async function playAzure(certificate: Certificate): Promise<PlayedAzure> {
  const secrets: PlayedAzure['secrets'] = new Map()
  const denied = new Set<string>()
  const [token, clientSecret, identityHeader] = [
    'eyJ.played-azure-token',
    'played-client-secret',
    'played-header'
  ]
  let nowSeconds = 1_700_000_000
  const error = (status: number, code: string): PlayedReply => {
    return { status, body: { error: { code, message: 'the message repeats nothing' } } }
  }
  const bundle = (name: string, { id, enabled, created }: Version) => {
    return { id: `${vault.url}/secrets/${name}/${id}`, attributes: { enabled, created, updated: created } }
  }

  const vault = await createPlayedServer(createServer(certificate), ({ method, url, headers, body }) => {
    if (headers.authorization !== `Bearer ${token}`) return error(401, 'Unauthorized')
    const { pathname, searchParams } = new URL(url, 'https://vault')
    if (searchParams.get('api-version') !== '7.4') return error(400, 'BadParameter')
    const [, collection, name = '', version] = pathname.split('/')
    if (collection !== 'secrets' || denied.has(name)) return error(403, 'Forbidden')
    if (method === 'PUT') {
      return { status: 200, body: bundle(name, azure.add(name, body.value)) }
    }
    const versions = secrets.get(name)
    if (versions === undefined) return error(404, 'SecretNotFound')
    if (version === 'versions') {
      const from = Number(searchParams.get('$skiptoken') ?? 0)
      const next = `${vault.url}/secrets/${name}/versions?api-version=7.4&$skiptoken=${from + PAGE}`
      const value = versions.slice(from, from + PAGE).map(one => bundle(name, one))
      return { status: 200, body: { value, nextLink: from + PAGE < versions.length ? next : null } }
    }
    const found = versions.find(({ id }) => id === version)
    if (found === undefined) return error(404, 'SecretNotFound')
    if (method === 'PATCH') {
      found.enabled = body.attributes.enabled
      return { status: 200, body: bundle(name, found) }
    }
    if (!found.enabled) return error(403, 'Forbidden')
    return { status: 200, body: { value: found.value, ...bundle(name, found) } }
  })

  const entra = await createPlayedServer(createServer(certificate), ({ url, text }) => {
    const base = `${entra.url}/played-tenant`
    if (url.includes('/.well-known/openid-configuration')) {
      return {
        status: 200,
        body: {
          issuer: `${base}/v2.0`,
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          token_endpoint: `${base}/oauth2/v2.0/token`,
          jwks_uri: `${base}/discovery/v2.0/keys`
        }
      }
    }
    const form = new URLSearchParams(text)
    const isKnown =
      form.get('client_id') === 'played-client' &&
      form.get('scope')?.includes('https://vault.azure.net/.default') &&
      (form.get('client_secret') === clientSecret || form.get('client_assertion') === azure.assertion)
    if (isKnown) return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: token } }
    const description = `AADSTS7000215: Invalid client secret provided: ${form.get('client_secret')}`
    return {
      status: 401,
      body: { error: 'invalid_client', error_description: description, error_codes: [7000215] }
    }
  })

  const identity = await createPlayedServer(createIdentityServer(), ({ url, headers }) => {
    const { searchParams } = new URL(url, 'http://identity')
    if (headers['x-identity-header'] !== identityHeader) return { status: 401, body: { statusCode: 401 } }
    if (searchParams.get('resource') !== 'https://vault.azure.net') return { status: 400, body: {} }
    const expires = String(Math.floor(Date.now() / 1000) + 3600)
    return {
      status: 200,
      body: {
        access_token: token,
        expires_on: expires,
        resource: 'https://vault.azure.net',
        token_type: 'Bearer'
      }
    }
  })

  const azure: PlayedAzure = {
    vault,
    entra,
    identity,
    identityHeader,
    clientSecret,
    assertion: 'played-assertion',
    token,
    secrets,
    denied,
    add(name, value) {
      nowSeconds += 1
      const version = { id: randomBytes(16).toString('hex'), value, enabled: true, created: nowSeconds }
      // In no order: the API promises none.
      secrets.set(
        name,
        [version, ...(secrets.get(name) ?? [])].sort((one, other) => (one.id < other.id ? -1 : 1))
      )
      return version
    }
  }
  return azure
}
