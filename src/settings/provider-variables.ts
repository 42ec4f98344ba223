// Tested by test/settings/config.test.ts and test/settings/secrets/.
import { httpUrl, oneOf, type Parser, text } from './parse.ts'
import { optional, secret, setting, type Variable } from './variable.ts'

const filePath = text('the path of a file')
const mount = text('up to 100 letters, digits and /_.-', /^\w[\w/.-]{0,98}\w$/)

/** Credentials and secrets are sent there. */
const httpsUrl: Parser<string> = {
  allowed: 'an https:// address',
  parse: value => (value.startsWith('https://') ? httpUrl.parse(value) : undefined)
}

/**
 * The variables of the secrets providers. AWS has none: its SDK reads its own. The names are those of the programs of
 * HashiCorp, Google and Microsoft where they have one.
 */
export const providerVariables = {
  VAULT_ADDR: optional(
    httpUrl,
    'Vault or OpenBao, for `SECRETS_PROVIDER=vault`: `https://vault.internal:8200`'
  ),
  VAULT_AUTH: setting(
    oneOf('token', 'kubernetes', 'approle'),
    'token',
    'How to log in to Vault: with `VAULT_TOKEN`, the service account of the pod, or an AppRole'
  ),
  VAULT_AUTH_MOUNT: optional(mount, 'Mount of that auth method; default its name'),
  VAULT_TOKEN: secret(
    text('a token'),
    'Token for Vault. As a file it can be replaced, as Vault Agent does, without a restart'
  ),
  VAULT_ROLE: optional(text('a role'), 'Role for `VAULT_AUTH=kubernetes`'),
  VAULT_JWT_FILE: setting(
    filePath,
    '/var/run/secrets/kubernetes.io/serviceaccount/token',
    'Token of the service account, for `VAULT_AUTH=kubernetes`'
  ),
  VAULT_ROLE_ID: optional(text('a role id'), 'Role id for `VAULT_AUTH=approle`'),
  VAULT_SECRET_ID: secret(text('a secret id'), 'Secret id for `VAULT_AUTH=approle`, if the role demands one'),
  VAULT_MOUNT: setting(mount, 'secret', 'Mount of the key/value engine, version 2'),
  VAULT_NAMESPACE: optional(text('a namespace'), 'Namespace in Vault Enterprise or OpenBao'),
  VAULT_CACERT: optional(filePath, 'CA certificate of Vault, PEM; default the CAs of Node'),
  GOOGLE_CLOUD_PROJECT: optional(
    text('a project id', /^[a-z0-9][a-z0-9.:-]{4,98}[a-z0-9]$/),
    'Project of the secrets, for `SECRETS_PROVIDER=gcp`; default that of the credentials'
  ),
  GOOGLE_SECRET_MANAGER_URL: setting(
    httpsUrl,
    'https://secretmanager.googleapis.com',
    'Base URL of Secret Manager, such as that of a Private Service Connect endpoint'
  ),
  AZURE_KEY_VAULT_URL: optional(
    httpsUrl,
    'Key vault, for `SECRETS_PROVIDER=azure`: `https://<name>.vault.azure.net`'
  ),
  AZURE_TENANT_ID: optional(text('a tenant id', /^[\w.-]{1,100}$/), 'Tenant in Microsoft Entra ID'),
  AZURE_CLIENT_ID: optional(
    text('a client id', /^[\w-]{1,100}$/),
    'Client id of the workload identity, the application, or the user-assigned managed identity'
  ),
  AZURE_CLIENT_SECRET: secret(
    text('a client secret'),
    'Client secret of the application, if the machine has no managed identity'
  ),
  AZURE_FEDERATED_TOKEN_FILE: optional(filePath, 'Token of the workload identity; its webhook sets this'),
  AZURE_AUTHORITY_HOST: setting(
    httpsUrl,
    'https://login.microsoftonline.com',
    'Where tokens come from; other clouds have another'
  )
} as const satisfies Record<string, Variable<unknown>>

/** What the service logs in to a provider with. The provider itself cannot have these. */
export const providerCredentials: ReadonlySet<string> = new Set(
  Object.entries(providerVariables).flatMap(([name, { secret }]) => (secret ? [name] : []))
)
