// Tested by test/settings/secrets/azure.slow.test.ts and test/settings/secrets/azure-token.slow.test.ts.
import { readFile } from 'node:fs/promises'
import type { AuthenticationResult } from '@azure/msal-node'
import { ConfigError, errorCode } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { VariableReader } from '../variables.ts'
import { limitLibrary, StoreError, textAt } from './store-request.ts'

type Source = () => Promise<AuthenticationResult | null>

/**
 * Access tokens for a key vault, from the first of these that is configured: the workload identity of a pod, the client
 * secret of an application, or the managed identity of the machine or container. `@azure/msal-node` caches a token and
 * gets the next one before it expires; it is loaded when the first secret is read.
 */
export function azureToken(reader: VariableReader, vaultUrl: string): () => Promise<Secret> {
  let opened: Promise<Source> | undefined
  return async () => {
    opened ??= openSource(reader, audienceOf(vaultUrl))
    try {
      const acquire = await opened
      const result = await limitLibrary(acquire())
      if (result?.accessToken) return new Secret(result.accessToken)
    } catch (error) {
      if (error instanceof ConfigError) {
        opened = undefined
        throw error
      }
      throw new StoreError(refusal(error))
    }
    throw new StoreError('no token from Microsoft Entra ID')
  }
}

/** `https://my-vault.vault.azure.net` → `https://vault.azure.net`; other clouds have another domain. */
function audienceOf(vaultUrl: string): string {
  const domain = /\.(vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net))$/.exec(
    new URL(vaultUrl).hostname
  )?.[1]
  return `https://${domain ?? 'vault.azure.net'}`
}

async function openSource(reader: VariableReader, audience: string): Promise<Source> {
  const msal = await import('@azure/msal-node')
  const tokenFile = reader.value('AZURE_FEDERATED_TOKEN_FILE')
  const secret = tokenFile === undefined ? await reader.secret('AZURE_CLIENT_SECRET') : undefined
  const clientId = reader.value('AZURE_CLIENT_ID')
  if (tokenFile === undefined && secret === undefined) {
    const identity = new msal.ManagedIdentityApplication(
      clientId === undefined ? {} : { managedIdentityIdParams: { userAssignedClientId: clientId } }
    )
    return () => identity.acquireToken({ resource: audience })
  }
  const authority = reader.value('AZURE_AUTHORITY_HOST')
  const application = new msal.ConfidentialClientApplication({
    auth: {
      clientId: clientId ?? missing('AZURE_CLIENT_ID'),
      authority: `${authority}/${reader.value('AZURE_TENANT_ID') ?? missing('AZURE_TENANT_ID')}`,
      // The operator names it, so Microsoft is not asked whether it is one of theirs.
      knownAuthorities: [new URL(authority).host],
      // The kubelet replaces the file each hour.
      ...(tokenFile === undefined
        ? { clientSecret: secret?.reveal() ?? '' }
        : { clientAssertion: () => readToken(tokenFile) })
    }
  })
  return () => application.acquireTokenByClientCredential({ scopes: [`${audience}/.default`] })
}

function missing(variable: string): never {
  throw new ConfigError(`${variable} is missing: the log-in to Azure needs it (docs/secrets.md)`)
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    throw new ConfigError(
      `AZURE_FEDERATED_TOKEN_FILE=${path}: the file can't be read (${errorCode(cause)})`,
      { cause }
    )
  }
}

/**
 * The message of the library can repeat parts of the request, so only codes are kept: such as `AADSTS7000215`, or
 * `invalid_client` of OAuth.
 */
function refusal(error: unknown): string {
  const number = error instanceof Error ? /\bAADSTS\d{4,8}\b/.exec(error.message)?.[0] : undefined
  const code = textAt(error, 'errorCode')
  const shown = number ?? (code !== undefined && /^[a-z_]{1,60}$/.test(code) ? code : errorCode(error))
  return `no token from Microsoft Entra ID${shown === undefined ? '' : `: ${shown}`}; check the identity of the pod or machine, AZURE_CLIENT_ID and AZURE_TENANT_ID`
}
