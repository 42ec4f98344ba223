import { ConfigError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { VariableReader } from '../variables.ts'
import { NO_VERSIONS, type SecretHandle, type SecretStore, sameSecret } from './secret-handle.ts'
import { at, StoreError, textAt } from './store-request.ts'
import { withoutLineBreak } from './stray-characters.ts'
import { expectOk, openVault, refusal, textOf, type Vault } from './vault-api.ts'

/** The field of a secret that has its value. */
const FIELD = 'value'

/**
 * Secrets in the key/value engine, version 2, of HashiCorp Vault or OpenBao, in the field `value`. The newest version is
 * the current value, the one before it the previous value until it is deleted. There is no pending version.
 * API: https://openbao.org/api-docs/secret/kv/kv-v2/ and https://openbao.org/api-docs/auth/, read 2026-11-27.
 *
 * @param prefix what the path of each secret begins with
 */
export function vaultStore(prefix: string, refreshMs: number, reader: VariableReader): SecretStore {
  let opened: Vault | undefined
  const open = (): Vault => {
    opened ??= openVault(reader)
    return opened
  }
  return { find: name => vaultSecret(open, prefix + name, refreshMs, reader), close: () => opened?.close() }
}

function vaultSecret(
  open: () => Vault,
  name: string,
  refreshMs: number,
  reader: VariableReader
): SecretHandle {
  const mount = reader.value('VAULT_MOUNT')
  const place = `${mount}/${name} in Vault`
  const pathOf = (kind: 'data' | 'delete'): string => `/v1/${mount}/${kind}/${encoded(name)}`
  return {
    place,
    refreshMs,
    async versions() {
      const { version, fields } = await read()
      if (version === 0) return NO_VERSIONS
      const current = valueIn(fields)
      // A version from before the field was right must not keep the corrected one out of use.
      const previous = version > 1 ? fieldIn((await read(version - 1)).fields) : undefined
      return { current, previous, pending: undefined }
    },
    async promote(value) {
      const { version, fields } = await read()
      if (sameSecret(valueIn(fields), value)) return
      const body = {
        data: { ...fields, [FIELD]: value.reveal() },
        // Refused if somebody else has changed it meanwhile.
        options: { cas: version }
      }
      const reply = await open().send('POST', pathOf('data'), body)
      if (reply.status === 400)
        throw new StoreError(`${place} was changed by somebody else: run the command again`)
      expectOk(reply, pathOf('data'), 'create and update')
    },
    async forgetPrevious() {
      const { version } = await read()
      if (version < 2 || (await read(version - 1)).fields === undefined) return
      const body = { versions: [version - 1] }
      expectOk(await open().send('POST', pathOf('delete'), body), pathOf('delete'), 'update')
    },
    // A value cannot be put below the current version. It is there already unless the engine keeps a single version.
    keepPrevious: async () => false
  }

  /** @returns version 0 for a secret that does not exist; no fields for a version that was deleted */
  async function read(version?: number): Promise<{ version: number; fields: object | undefined }> {
    const path = pathOf('data')
    const reply = await open().send('GET', version === undefined ? path : `${path}?version=${version}`)
    const found = at(reply.body, 'data', 'metadata', 'version')
    const fields = at(reply.body, 'data', 'data')
    if (reply.status === 404) {
      if (textOf(reply) !== undefined)
        throw new StoreError(refusal(reply, path, 'check VAULT_MOUNT and VAULT_NAMESPACE'))
      return { version: typeof found === 'number' ? found : 0, fields: undefined }
    }
    expectOk(reply, path, 'read')
    if (typeof found !== 'number' || typeof fields !== 'object' || fields === null) {
      throw new StoreError(`VAULT_MOUNT=${mount} is not a key/value engine of version 2`)
    }
    return { version: found, fields }
  }

  /** @returns `undefined` for a version that was deleted. @throws StoreError for one with other fields only */
  function valueIn(fields: object | undefined): Secret | undefined {
    const value = fieldIn(fields)
    if (fields === undefined || value !== undefined) return value
    throw new StoreError(`it has no text in the field "${FIELD}"`)
  }

  function fieldIn(fields: object | undefined): Secret | undefined {
    const text = withoutLineBreak(textAt(fields, FIELD) ?? '')
    return text === '' ? undefined : new Secret(text)
  }
}

/** A `..` in a path would lead to another API. */
function encoded(path: string): string {
  const segments = path.split('/')
  if (segments.some(segment => /^\.{0,2}$/.test(segment))) {
    throw new ConfigError(
      `SECRETS_PREFIX: "${path}" is not the path of a secret in Vault: no empty segments, "." or ".."`
    )
  }
  return segments.map(encodeURIComponent).join('/')
}
