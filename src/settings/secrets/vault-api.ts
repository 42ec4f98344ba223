// Tested by test/settings/secrets/vault.slow.test.ts
import { readFile } from 'node:fs/promises'
import { ConfigError, errorCode } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { VariableReader } from '../variables.ts'
import {
  at,
  connectStore,
  type StoreConnection,
  StoreError,
  type StoreReply,
  textAt
} from './store-request.ts'
import { keepVaultToken, type VaultLease, type VaultToken } from './vault-token.ts'

/** Known texts of Vault and OpenBao. A reply can repeat what was sent, so nothing else of it is shown. */
const REPLIES =
  /permission denied|(?:invalid|bad|missing client) token|vault is sealed|invalid (?:role or secret|secret|role) id|invalid role name|service account name not authorized|namespace not (?:authorized|found)|no handler for route|route entry not found|lookup failed/i

/** The HTTP API of Vault. */
export interface Vault {
  /** With a valid token. @throws StoreError without a reply, and if no token can be had */
  send(method: 'GET' | 'POST', path: string, body?: object): Promise<StoreReply>
  close(): void
}

/** @throws ConfigError for a setting that is missing */
export function openVault(reader: VariableReader): Vault {
  const url = reader.value('VAULT_ADDR')
  if (url === undefined) {
    throw new ConfigError(
      'VAULT_ADDR is missing: SECRETS_PROVIDER=vault needs it, such as https://vault.internal:8200'
    )
  }
  const namespace = reader.value('VAULT_NAMESPACE')
  const connection = connectStore({ url, variable: 'VAULT_ADDR', caFile: reader.value('VAULT_CACERT') })
  const api: Api = (method, path, token, body) =>
    connection.send({
      method,
      path,
      headers: {
        'x-vault-request': 'true',
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
        ...(token === undefined ? {} : { 'x-vault-token': token.reveal() })
      },
      ...(body === undefined ? {} : { body })
    })
  const token: VaultToken = keepVaultToken({
    logIn: () => logIn(reader, api),
    async renew(token) {
      const path = '/v1/auth/token/renew-self'
      return leaseOf(expectOk(await api('POST', path, token, {}), path, 'update'))
    }
  })
  return {
    async send(method, path, body) {
      const inUse = await token.get()
      const reply = await api(method, path, inUse, body)
      // 403 also stands for a token that was revoked, or has expired while Vault could not be reached.
      if (reply.status !== 403 || (await api('GET', LOOKUP, inUse)).status !== 403) return reply
      token.drop(inUse)
      return api(method, path, await token.get(), body)
    },
    close() {
      token.close()
      connection.close()
    }
  }
}

type Api = (
  method: 'GET' | 'POST',
  path: string,
  token?: Secret,
  body?: object
) => ReturnType<StoreConnection['send']>

const LOOKUP = '/v1/auth/token/lookup-self'

async function logIn(reader: VariableReader, api: Api): Promise<VaultLease> {
  const method = reader.value('VAULT_AUTH')
  if (method === 'token') {
    const token = (await reader.secret('VAULT_TOKEN')) ?? missing('VAULT_TOKEN')
    const reply = await api('GET', LOOKUP, token)
    if (reply.status === 403) {
      const advice = 'VAULT_TOKEN is wrong, has expired, or lacks the policy "default"; give a new one'
      throw new StoreError(refusal(reply, LOOKUP, advice))
    }
    const { body } = expectOk(reply, LOOKUP, 'read')
    return {
      token,
      ttlMs: secondsAt(body, 'data', 'ttl') * 1000,
      renewable: at(body, 'data', 'renewable') === true
    }
  }
  const path = `/v1/auth/${reader.value('VAULT_AUTH_MOUNT') ?? method}/login`
  const reply = await api('POST', path, undefined, await loginBody(reader, method))
  if (reply.status !== 200) throw new StoreError(refusal(reply, path, LOGIN_ADVICE[method]))
  return leaseOf(reply)
}

const LOGIN_ADVICE = {
  kubernetes: 'check VAULT_ROLE, VAULT_AUTH_MOUNT, and the service account that the role is bound to',
  approle: 'check VAULT_ROLE_ID, VAULT_SECRET_ID and VAULT_AUTH_MOUNT; a secret id can have expired'
} as const

/** Read at each log-in: the kubelet and Vault Agent replace these files. */
async function loginBody(reader: VariableReader, method: 'kubernetes' | 'approle'): Promise<object> {
  if (method === 'approle') {
    const secretId = await reader.secret('VAULT_SECRET_ID')
    return {
      role_id: reader.value('VAULT_ROLE_ID') ?? missing('VAULT_ROLE_ID'),
      ...(secretId === undefined ? {} : { secret_id: secretId.reveal() })
    }
  }
  const path = reader.value('VAULT_JWT_FILE')
  try {
    return {
      role: reader.value('VAULT_ROLE') ?? missing('VAULT_ROLE'),
      jwt: (await readFile(path, 'utf8')).trim()
    }
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    throw new ConfigError(`VAULT_JWT_FILE=${path}: the file can't be read (${errorCode(cause)})`, { cause })
  }
}

function missing(variable: string): never {
  throw new ConfigError(`${variable} is missing: the log-in to Vault needs it (docs/secrets.md)`)
}

function leaseOf({ body }: StoreReply): VaultLease {
  const token = textAt(body, 'auth', 'client_token')
  if (token === undefined) throw new StoreError('Vault answered a log-in without a token')
  return {
    token: new Secret(token),
    ttlMs: secondsAt(body, 'auth', 'lease_duration') * 1000,
    renewable: at(body, 'auth', 'renewable') === true
  }
}

function secondsAt(body: unknown, ...path: readonly string[]): number {
  const seconds = at(body, ...path)
  return typeof seconds === 'number' ? seconds : 0
}

/**
 * @param capability that the policy must have on this path
 * @throws StoreError for a status other than 2xx
 */
export function expectOk(reply: StoreReply, path: string, capability: string): StoreReply {
  if (reply.status >= 200 && reply.status < 300) return reply
  const isDenied = reply.status === 403
  const advice = isDenied ? `the policy must allow ${capability} on this path` : adviceFor(reply.status)
  throw new StoreError(refusal(reply, path, advice), { isDenied })
}

function adviceFor(status: number): string {
  if (status === 503) return 'unseal Vault, or wait until it has an active node'
  if (status >= 300 && status < 400) return 'set VAULT_ADDR to the active node: redirects are not followed'
  return 'see the log of Vault'
}

/** A reply in words, with host, path and the next step. */
export function refusal(reply: StoreReply, path: string, advice: string): string {
  const text = textOf(reply)
  const what = text === undefined ? reply.status : `${reply.status} ${text}`
  return `${what} from ${reply.host} for ${path}; ${reply.status === 503 ? adviceFor(503) : advice}`
}

/** What Vault says, if it is one of the known texts. */
export function textOf({ body }: StoreReply): string | undefined {
  return REPLIES.exec(JSON.stringify(at(body, 'errors') ?? ''))?.[0].toLowerCase()
}
