import type { AuthClient, GoogleAuth } from 'google-auth-library'
import { ConfigError, errorCode } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { VariableReader } from '../variables.ts'
import { NO_VERSIONS, type SecretHandle, type SecretStore, sameSecret } from './secret-handle.ts'
import {
  connectStore,
  limitLibrary,
  type StoreConnection,
  StoreError,
  type StoreReply,
  textAt
} from './store-request.ts'
import { withoutLineBreak } from './stray-characters.ts'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

/**
 * Secrets in Google Secret Manager. `latest` is the current value, the version before it the previous value until it is
 * disabled or destroyed. There is no pending version. google-auth-library finds the credentials (Application Default
 * Credentials); it is loaded when the first secret is read.
 * API: https://cloud.google.com/secret-manager/docs/reference/rest, read 2026-11-27.
 *
 * @param prefix what the name of each secret begins with
 */
export function googleStore(prefix: string, refreshMs: number, reader: VariableReader): SecretStore {
  let opened: Promise<SecretManager> | undefined
  const open = async (): Promise<SecretManager> => {
    opened ??= openSecretManager(reader)
    try {
      return await opened
    } catch (error) {
      opened = undefined
      throw error
    }
  }
  return {
    find: name => googleSecret(open, prefix + name, refreshMs),
    close: () => void opened?.then(manager => manager.close()).catch(() => {})
  }
}

interface Version {
  readonly number: number
  readonly value: Secret | undefined
}

function googleSecret(open: () => Promise<SecretManager>, name: string, refreshMs: number): SecretHandle {
  return {
    place: `${name} in Google Secret Manager`,
    refreshMs,
    async versions() {
      const latest = await access('latest')
      if (latest === undefined) return NO_VERSIONS
      const previous = await access(latest.number - 1)
      return { current: latest.value, previous: previous?.value, pending: undefined }
    },
    async promote(value) {
      if (sameSecret((await access('latest'))?.value, value)) return
      const data = Buffer.from(value.reveal()).toString('base64')
      expectOk(await send('POST', ':addVersion', { payload: { data } }), 'secretmanager.versions.add')
    },
    async forgetPrevious() {
      const latest = await access('latest')
      const previous = latest && (await access(latest.number - 1))
      if (previous === undefined) return
      expectOk(
        await send('POST', `/versions/${previous.number}:disable`, {}),
        'secretmanager.versions.disable'
      )
    },
    // The version before the current one is the previous value already, unless two were added in a short time.
    keepPrevious: async () => false
  }

  /** @returns `undefined` for a version that does not exist, is disabled or destroyed */
  async function access(version: number | 'latest'): Promise<Version | undefined> {
    if (version === 0) return undefined
    const reply = await send('GET', `/versions/${version}:access`)
    if (reply.status === 404 || (reply.status === 400 && statusOf(reply) === 'FAILED_PRECONDITION'))
      return undefined
    expectOk(reply, 'secretmanager.versions.access')
    const number = Number(/\/versions\/(\d+)$/.exec(textAt(reply.body, 'name') ?? '')?.[1])
    if (!Number.isInteger(number))
      throw new StoreError('Secret Manager answered without a version: check GOOGLE_SECRET_MANAGER_URL')
    const data = textAt(reply.body, 'payload', 'data') ?? ''
    const text = withoutLineBreak(Buffer.from(data, 'base64').toString('utf8'))
    return { number, value: text === '' ? undefined : new Secret(text) }
  }

  async function send(method: 'GET' | 'POST', action: string, body?: object): Promise<StoreReply> {
    if (!/^[\w-]{1,255}$/.test(name)) {
      throw new ConfigError(
        `SECRETS_PREFIX: "${name}" is not the name of a secret at Google: only letters, digits, - and _ are allowed`
      )
    }
    return (await open()).send(method, `/secrets/${name}${action}`, body)
  }
}

interface SecretManager {
  /** @param path below the project */
  send(method: 'GET' | 'POST', path: string, body?: object): Promise<StoreReply>
  close(): void
}

/** @throws StoreError without credentials, ConfigError without a project */
async function openSecretManager(reader: VariableReader): Promise<SecretManager> {
  const url = reader.value('GOOGLE_SECRET_MANAGER_URL')
  const { GoogleAuth } = await import('google-auth-library')
  const given = reader.value('GOOGLE_CLOUD_PROJECT')
  const auth = new GoogleAuth({ scopes: SCOPE, ...(given === undefined ? {} : { projectId: given }) })
  const client = await limitLibrary(auth.getClient()).catch(noCredentials)
  const project = given ?? (await projectOf(auth))
  const connection: StoreConnection = connectStore({ url, variable: 'GOOGLE_SECRET_MANAGER_URL' })
  return {
    async send(method, path, body) {
      const headers = await authorization(client, url)
      return connection.send({
        method,
        path: `/v1/projects/${project}${path}`,
        headers,
        ...(body === undefined ? {} : { body })
      })
    },
    close: () => connection.close()
  }
}

/** The library renews the token before it expires. */
async function authorization(client: AuthClient, url: string): Promise<Record<string, string>> {
  const headers = await limitLibrary(client.getRequestHeaders(url)).catch(noCredentials)
  return Object.fromEntries(headers.entries())
}

async function projectOf(auth: GoogleAuth): Promise<string> {
  const project = await limitLibrary(auth.getProjectId()).catch(() => undefined)
  if (project) return project
  throw new ConfigError(
    'GOOGLE_CLOUD_PROJECT is missing: the credentials have no project; give the project of the secrets'
  )
}

/** An error of the library can have the request, with a key or token, so only its code is kept. */
function noCredentials(error: unknown): never {
  const answered = textAt(error, 'response', 'data', 'error')
  const isNone = error instanceof Error && error.message.startsWith('Could not load the default credentials')
  const code = answered !== undefined && /^[a-z_]{1,40}$/.test(answered) ? answered : errorCode(error)
  const shown = isNone ? ': no credentials are found' : code === undefined ? '' : `: ${code}`
  throw new StoreError(
    `no token from Google${shown}; check the service account of the pod or machine, or GOOGLE_APPLICATION_CREDENTIALS`
  )
}

/** @param permission that the request needs */
function expectOk(reply: StoreReply, permission: string): void {
  if (reply.status >= 200 && reply.status < 300) return
  const status = statusOf(reply)
  const isDenied = reply.status === 403
  const advice = isDenied
    ? `the service account needs ${permission}, and the API must be enabled`
    : 'try again'
  const what = status === undefined ? reply.status : `${reply.status} ${status}`
  throw new StoreError(`${what} from ${reply.host}; ${advice}`, { isDenied })
}

/** Such as `PERMISSION_DENIED` (https://cloud.google.com/apis/design/errors). */
function statusOf({ body }: StoreReply): string | undefined {
  const status = textAt(body, 'error', 'status')
  return status !== undefined && /^[A-Z_]{1,40}$/.test(status) ? status : undefined
}
