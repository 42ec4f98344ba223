// Tested by test/settings/secrets/azure.slow.test.ts
import { ConfigError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { VariableReader } from '../variables.ts'
import { azureToken } from './azure-token.ts'
import { NO_VERSIONS, type SecretHandle, type SecretStore, sameSecret } from './secret-handle.ts'
import { at, connectStore, StoreError, type StoreReply, textAt } from './store-request.ts'
import { withoutLineBreak } from './stray-characters.ts'

const API_VERSION = 'api-version=7.4'
/** A vault keeps every version. A secret that has more pages of 25 is not one that a person rotates. */
const MAX_PAGES = 20

/**
 * Secrets in Azure Key Vault. The newest version is the current value, the one before it the previous value until it is
 * disabled. There is no pending version. The token comes from `@azure/msal-node`, see azure-token.ts.
 * API: https://learn.microsoft.com/rest/api/keyvault/secrets/, read 2026-11-27.
 *
 * @param prefix what the name of each secret begins with
 */
export function azureStore(prefix: string, refreshMs: number, reader: VariableReader): SecretStore {
  let opened: KeyVault | undefined
  const open = (): KeyVault => {
    opened ??= openKeyVault(reader)
    return opened
  }
  return { find: name => azureSecret(open, prefix + name, refreshMs), close: () => opened?.close() }
}

/** A version of a secret, without its value. */
interface Version {
  readonly id: string
  readonly isEnabled: boolean
  /** Unix time. */
  readonly createdSeconds: number
}

function azureSecret(open: () => KeyVault, name: string, refreshMs: number): SecretHandle {
  /** What a version holds never changes, so each is fetched once. */
  const values = new Map<string, Secret>()
  return {
    place: `${name} in Azure Key Vault`,
    refreshMs,
    async versions() {
      const { current, previous } = await newest()
      if (current === undefined) return NO_VERSIONS
      return {
        current: await valueIn(current),
        previous: previous && (await valueIn(previous)),
        pending: undefined
      }
    },
    async promote(value) {
      const { current } = await newest()
      if (current !== undefined && sameSecret(await valueIn(current), value)) return
      expectOk(await send('PUT', '', { value: value.reveal() }), 'set')
    },
    async forgetPrevious() {
      const { previous } = await newest()
      if (previous?.isEnabled !== true) return
      expectOk(await send('PATCH', `/${previous.id}`, { attributes: { enabled: false } }), 'set')
    },
    // The version before the current one is the previous value already, unless two were added in a short time.
    keepPrevious: async () => false
  }

  async function newest(): Promise<{ current?: Version | undefined; previous?: Version | undefined }> {
    const found: Version[] = []
    let path: string | undefined = '/versions'
    for (let page = 0; path !== undefined && page < MAX_PAGES; page++) {
      const reply: StoreReply = await send('GET', path)
      if (reply.status === 404) return {}
      expectOk(reply, 'list')
      found.push(...versionsIn(reply))
      path = nextPath(reply)
    }
    const [current, previous] = found.sort((one, other) => other.createdSeconds - one.createdSeconds)
    return { current, previous }
  }

  /** The token must go nowhere else, so only the query of the link is used. */
  function nextPath(reply: StoreReply): string | undefined {
    const link = textAt(reply.body, 'nextLink')
    return link !== undefined && URL.canParse(link) ? `/versions${new URL(link).search}` : undefined
  }

  async function valueIn({ id, isEnabled }: Version): Promise<Secret | undefined> {
    if (!isEnabled) return undefined
    const known = values.get(id)
    if (known !== undefined) return known
    const reply = await send('GET', `/${id}`)
    expectOk(reply, 'get')
    const text = withoutLineBreak(textAt(reply.body, 'value') ?? '')
    if (text === '') return undefined
    const value = new Secret(text)
    values.set(id, value)
    return value
  }

  async function send(method: 'GET' | 'PUT' | 'PATCH', path: string, body?: object): Promise<StoreReply> {
    if (!/^[0-9a-zA-Z-]{1,127}$/.test(name)) {
      throw new ConfigError(
        `SECRETS_PREFIX: "${name}" is not the name of a secret in Azure Key Vault: only letters, digits and - are allowed`
      )
    }
    const query = path.includes('?') ? '' : `?${API_VERSION}`
    return open().send(method, `/secrets/${name}${path}${query}`, body)
  }
}

function versionsIn({ body }: StoreReply): readonly Version[] {
  const items = at(body, 'value')
  if (!Array.isArray(items))
    throw new StoreError('the answer is not a list of versions: check AZURE_KEY_VAULT_URL')
  return items.flatMap((item: unknown): readonly Version[] => {
    const id = /\/([0-9a-f]{32})$/i.exec(textAt(item, 'id') ?? '')?.[1]
    const created = at(item, 'attributes', 'created')
    if (id === undefined || typeof created !== 'number') return []
    return [{ id, isEnabled: at(item, 'attributes', 'enabled') !== false, createdSeconds: created }]
  })
}

interface KeyVault {
  send(method: 'GET' | 'PUT' | 'PATCH', path: string, body?: object): Promise<StoreReply>
  close(): void
}

/** @throws ConfigError without an address */
function openKeyVault(reader: VariableReader): KeyVault {
  const url = reader.value('AZURE_KEY_VAULT_URL')
  if (url === undefined) {
    throw new ConfigError(
      'AZURE_KEY_VAULT_URL is missing: SECRETS_PROVIDER=azure needs it, such as https://my-vault.vault.azure.net'
    )
  }
  const connection = connectStore({ url, variable: 'AZURE_KEY_VAULT_URL' })
  const token = azureToken(reader, url)
  return {
    async send(method, path, body) {
      const headers = { authorization: `Bearer ${(await token()).reveal()}` }
      return connection.send({ method, path, headers, ...(body === undefined ? {} : { body }) })
    },
    close: () => connection.close()
  }
}

/** @param permission that the request needs: of the access policy, or contained in a role */
function expectOk(reply: StoreReply, permission: 'get' | 'list' | 'set'): void {
  if (reply.status >= 200 && reply.status < 300) return
  const isDenied = reply.status === 403
  const code = textAt(reply.body, 'error', 'innererror', 'code') ?? textAt(reply.body, 'error', 'code')
  const shown = code !== undefined && /^\w{1,60}$/.test(code) ? ` ${code}` : ''
  throw new StoreError(`${reply.status}${shown} from ${reply.host}; ${adviceFor(reply.status, permission)}`, {
    isDenied
  })
}

function adviceFor(status: number, permission: 'get' | 'list' | 'set'): string {
  const role = permission === 'set' ? 'Key Vault Secrets Officer' : 'Key Vault Secrets User'
  if (status === 403)
    return `the identity needs the permission ${permission} (role ${role}), and the network of the vault must be open`
  if (status === 401) return 'check AZURE_TENANT_ID: the vault trusts another tenant'
  return 'try again'
}
