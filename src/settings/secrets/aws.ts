import type { SecretsManager } from '@aws-sdk/client-secrets-manager'
import { ConfigError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import {
  NO_VERSIONS,
  type SecretHandle,
  type SecretStore,
  type SecretVersions,
  sameSecret
} from './secret-handle.ts'
import { withoutLineBreak } from './stray-characters.ts'

/** Staging labels (AWS Secrets Manager User Guide, "Version IDs and staging labels", read 2026-11-24). */
const LABELS = { current: 'AWSCURRENT', previous: 'AWSPREVIOUS', pending: 'AWSPENDING' } as const
type Label = keyof typeof LABELS

const CONNECT_TIMEOUT_MS = 2000
const REQUEST_TIMEOUT_MS = 5000

/**
 * Secrets in AWS Secrets Manager, kept as plain text (`SecretString`). The SDK finds region, credentials and endpoint as
 * usual: `AWS_REGION`, the role of the pod or machine, and so on. It is loaded when the first secret is read.
 *
 * @param prefix what the name of each secret begins with
 */
export function awsStore(prefix: string, refreshMs: number): SecretStore {
  let connecting: Promise<SecretsManager> | undefined
  const connect = (): Promise<SecretsManager> => {
    connecting ??= connectSecretsManager()
    return connecting
  }
  return {
    find: name => awsSecret(connect, prefix + name, refreshMs),
    close: () => void connecting?.then(client => client.destroy()).catch(() => {})
  }
}

/** @throws ConfigError if no region is configured */
async function connectSecretsManager(): Promise<SecretsManager> {
  const { SecretsManager } = await import('@aws-sdk/client-secrets-manager')
  const client = new SecretsManager({
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Otherwise it only prints a warning, and waits without end.
      throwOnRequestTimeout: true
    }
  })
  try {
    await client.config.region()
  } catch (cause) {
    client.destroy()
    throw new ConfigError('AWS_REGION is missing: SECRETS_PROVIDER=aws needs the region of the secrets', {
      cause
    })
  }
  return client
}

function awsSecret(connect: () => Promise<SecretsManager>, id: string, refreshMs: number): SecretHandle {
  /** What a version holds never changes, so each is fetched once. */
  const values = new Map<string, Secret>()
  return {
    place: `${id} in AWS Secrets Manager`,
    refreshMs,
    versions: async () => (await read()).versions,
    async promote(value) {
      const { ids, versions } = await read()
      if (sameSecret(versions.current, value)) return
      if (ids.pending !== undefined && sameSecret(versions.pending, value)) {
        await move('current', ids.pending, ids.current)
        await move('pending', undefined, ids.pending)
      } else {
        // AWS moves AWSCURRENT to the new version, and AWSPREVIOUS to the one that had it.
        await (await connect()).putSecretValue({ SecretId: id, SecretString: value.reveal() })
      }
    },
    async forgetPrevious() {
      const { ids } = await read()
      if (ids.previous !== undefined) await move('previous', undefined, ids.previous)
    },
    // AWS itself sets the label AWSPREVIOUS whenever the current version changes.
    keepPrevious: async () => true
  }

  async function read(): Promise<{ ids: Partial<Record<Label, string>>; versions: SecretVersions }> {
    let stages: Record<string, string[]>
    try {
      stages = (await (await connect()).describeSecret({ SecretId: id })).VersionIdsToStages ?? {}
    } catch (error) {
      if (isNotFound(error)) return { ids: {}, versions: NO_VERSIONS }
      throw error
    }
    const ids: Partial<Record<Label, string>> = {}
    for (const label of ['current', 'previous', 'pending'] as const) {
      const version = Object.keys(stages).find(version => stages[version]?.includes(LABELS[label]))
      if (version !== undefined) ids[label] = version
    }
    const [current, previous, pending] = await Promise.all(
      [ids.current, ids.previous, ids.pending].map(fetchValue)
    )
    return { ids, versions: { current, previous, pending } }
  }

  async function fetchValue(version: string | undefined): Promise<Secret | undefined> {
    if (version === undefined) return undefined
    const known = values.get(version)
    if (known !== undefined) return known
    try {
      const client = await connect()
      const { SecretString, SecretBinary } = await client.getSecretValue({ SecretId: id, VersionId: version })
      const text = withoutLineBreak(SecretString ?? Buffer.from(SecretBinary ?? []).toString('utf8'))
      if (text === '') return undefined
      const value = new Secret(text)
      values.set(version, value)
      return value
    } catch (error) {
      // A version can have a label before it has a value: a rotation that was started elsewhere.
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async function move(label: Label, to: string | undefined, from: string | undefined): Promise<void> {
    const client = await connect()
    await client.updateSecretVersionStage({
      SecretId: id,
      VersionStage: LABELS[label],
      ...(to === undefined ? {} : { MoveToVersionId: to }),
      ...(from === undefined ? {} : { RemoveFromVersionId: from })
    })
  }
}

const isNotFound = (error: unknown): boolean =>
  error instanceof Error && error.name === 'ResourceNotFoundException'
