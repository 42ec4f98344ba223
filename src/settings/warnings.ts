import { isLoopbackHost } from '../address.ts'
import { isOneEditApart } from '../edit-distance.ts'
import { misspeltTypes } from '../event-types.ts'
import type { Source } from './sources.ts'
import { variables } from './variables.ts'

/** A setting that is allowed but probably a mistake. It is logged at the start. */
interface Warning {
  readonly message: string
  readonly [detail: string]: unknown
}

const PREFIX = 'CIO_'
const known: readonly string[] = [
  ...Object.keys(variables),
  ...Object.entries(variables).flatMap(([name, { secret }]) => (secret ? [`${name}_FILE`] : [])),
  // Of docker-compose.yml, where one `.env` serves both.
  'CIO_WEBHOOK_IMAGE'
]

/** `cio-webhook rotate` reads new keys from these. */
const ROTATION = /^CIO_(?:API_KEY|SITE_ID|WEBHOOK_SECRET(?:_[A-Z0-9_]+)?)_V2(?:_FILE)?$/
const SERVICE_LINK = /^(.+?)_(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP).*)?)$/

/** Variables that look like settings of this service, but are not. Their values are not read. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): readonly Warning[] {
  return Object.keys(env).flatMap((variable): readonly Warning[] => {
    if (known.includes(variable) || ROTATION.test(variable) || isServiceLink(variable)) return []
    const meant = known.find(name => isOneEditApart(variable, name) && !isNumbered(variable, name))
    if (meant !== undefined) {
      return [{ variable, message: `${variable} is not a setting of this service: did you mean ${meant}?` }]
    }
    if (!variable.startsWith(PREFIX)) return []
    return [{ variable, message: `${variable} is not a setting of this service: it has no effect` }]
  })

  /** A Kubernetes Service named `cio-webhook` gives every pod variables such as `CIO_WEBHOOK_PORT`. */
  function isServiceLink(variable: string): boolean {
    const service = SERVICE_LINK.exec(variable)?.[1]
    return service !== undefined && env[`${service}_SERVICE_HOST`] !== undefined
  }
}

/** Consumers whose `types` will probably never match. */
export const misspeltConsumerTypes = (
  consumers: readonly { readonly name: string; readonly types?: readonly string[] | undefined }[]
): readonly Warning[] =>
  consumers.flatMap(({ name, types }) =>
    misspeltTypes(types).map(problem => ({ consumer: name, message: `consumer ${name}: ${problem}` }))
  )

/** `PORT0` is a variable of schedulers (Marathon), not a misspelt `PORT`. */
const isNumbered = (variable: string, name: string): boolean => variable.replace(/\d$/, '') === name

/** Sources with the same key: a delivery to one can be replayed to the other, and is new there. */
export function sharedKeys(sources: ReadonlyMap<string, Pick<Source, 'name' | 'keys'>>): readonly Warning[] {
  const all = [...sources.values()]
  return all.flatMap((source, index) =>
    all.slice(index + 1).flatMap((other): readonly Warning[] => {
      const shared = source.keys.find(({ secret }) => other.keys.some(key => key.secret.equals(secret)))
      if (shared === undefined) return []
      return [
        {
          sources: [source.name, other.name],
          key: shared.id,
          message: `the sources ${source.name} and ${other.name} have the same signing key: a delivery to one can be replayed to the other; give each webhook the key that Customer.io shows for it`
        }
      ]
    })
  )
}

/** Tokens and secrets that go to another host unencrypted. */
export function unencryptedStore({
  SECRETS_PROVIDER: provider,
  VAULT_ADDR: address
}: Readonly<Record<string, string | undefined>>): readonly Warning[] {
  if (provider !== 'vault' || address === undefined || !URL.canParse(address)) return []
  const { protocol, hostname } = new URL(address)
  if (protocol !== 'http:' || isLoopbackHost(hostname)) return []
  return [
    {
      variable: 'VAULT_ADDR',
      message: `VAULT_ADDR begins with http://: tokens and secrets cross the network unencrypted; use https://, or an agent on this host`
    }
  ]
}
