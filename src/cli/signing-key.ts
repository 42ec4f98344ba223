import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { DEVELOPMENT_KEY_FILE } from '../settings/secrets/development-key.ts'
import { checkSigningKey, DEFAULT_SOURCE, readSecretFile, readSourcesFile } from '../settings/sources.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The signing key of a source, from where the service has it: the environment, a mounted file, the file of
 * sources, or outside production the key that a development start has made. Never from the command line, where
 * others would see it.
 *
 * @throws ConfigError when it is set wrongly, or `source` is unknown
 */
export function signingKey(env: Environment, source: string): Secret | undefined {
  return source === DEFAULT_SOURCE ? defaultKey(env) : sourceKey(env, source)
}

function sourceKey(env: Environment, name: string): Secret {
  const path = env['CIO_SOURCES_FILE']
  if (!path) throw new ConfigError(`CIO_SOURCES_FILE is missing: it has the key of the source ${name}`)
  const key = readSourcesFile('CIO_SOURCES_FILE', path).sources.find(source => source.name === name)?.keys[0]
  if (key === undefined) throw new ConfigError(`CIO_SOURCES_FILE=${path}: there is no source ${name}`)
  return key.secret
}

function defaultKey(env: Environment): Secret | undefined {
  const { CIO_WEBHOOK_SECRET: value, CIO_WEBHOOK_SECRET_FILE: path } = env
  if (value !== undefined && path !== undefined) {
    throw new ConfigError('CIO_WEBHOOK_SECRET and CIO_WEBHOOK_SECRET_FILE are both set: unset one of them')
  }
  if (value === '')
    throw new ConfigError('CIO_WEBHOOK_SECRET is set but empty: unset it, or give the signing key')
  if (path !== undefined) {
    return checked(`CIO_WEBHOOK_SECRET_FILE=${path}`, readSecretFile('CIO_WEBHOOK_SECRET_FILE', path))
  }
  if (value !== undefined) return checked('CIO_WEBHOOK_SECRET', value)
  return env['NODE_ENV'] === 'production' ? undefined : developmentKey(env['DATA_DIR'] ?? './data')
}

function checked(where: string, key: string): Secret {
  checkSigningKey(where, key)
  return new Secret(key)
}

/** What `serve` has made here. None is made for a sender: nobody would accept it. */
function developmentKey(dataDir: string): Secret | undefined {
  try {
    const key = readFileSync(join(dataDir, DEVELOPMENT_KEY_FILE), 'utf8').trim()
    return key === '' ? undefined : new Secret(key)
  } catch {
    return undefined
  }
}

/** Told where a key is needed and there is none. */
export const NO_KEY =
  'CIO_WEBHOOK_SECRET is missing: give the signing key that Customer.io shows beside the webhook, or its file as CIO_WEBHOOK_SECRET_FILE'
