import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { ServerOptions } from '../test/helpers/server.ts'

/** Where a contestant listens and stores, and its signing key. */
interface Seat {
  readonly port: number
  readonly redisPort: number
  /** Its working directory; removed afterwards. */
  readonly folder: string
  readonly secret: string
}

type StartCommand = Pick<ServerOptions, 'command' | 'args'> & {
  readonly env: Readonly<Record<string, string>>
}

export interface Contestant {
  readonly name: string
  /** Its name in the tables. */
  readonly title: string
  readonly policy: 'basic' | 'customerio' | 'none'
  /** Where its events are stored; `nothing` for the baseline, which stores none. */
  readonly log: 'service' | 'stream' | 'bullmq' | 'nothing'
  /** The expected response to a repeated event id. */
  readonly repeatsAre: 'duplicate' | 'accepted'
  /** Settings of its Redis. Default: no persistence. */
  readonly redis: Readonly<Record<string, string>>
  readonly start: (seat: Seat) => StartCommand
}

/** One configuration of this service. The log line per delivery is off, as are the access logs of the peers. */
function service(
  name: string,
  title: string,
  policy: 'basic' | 'customerio',
  redis: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {}
): Contestant {
  return {
    name,
    title,
    policy,
    redis,
    log: 'service',
    repeatsAre: 'duplicate',
    start: ({ redisPort, ...seat }) =>
      serviceCommand(seat, {
        REDIS_URL: `redis://127.0.0.1:${redisPort}`,
        PII_POLICY: policy,
        ...env
      })
  }
}

/** The command that runs this service. @param env the address of its Redis, and other settings */
export function serviceCommand(
  { port, secret }: Pick<Seat, 'port' | 'secret'>,
  env: Readonly<Record<string, string>>
): StartCommand {
  return {
    command: 'sh',
    args: [resolve('dist/cli/cio-webhook.sh'), 'serve'],
    env: {
      PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: String(port),
      CIO_WEBHOOK_SECRET: secret,
      CIO_ALLOWED_IPS: '127.0.0.1',
      LOG_LEVEL: 'error',
      SHUTDOWN_DELAY_SECONDS: '0',
      ...env
    }
  }
}

const nodePeer =
  (file: string) =>
  ({ port, redisPort, secret }: Seat): StartCommand => ({
    command: process.execPath,
    args: [resolve('build/bench/peers', file)],
    env: {
      NODE_ENV: 'production',
      PORT: String(port),
      REDIS_PORT: String(redisPort),
      CIO_WEBHOOK_SECRET: secret
    }
  })

function nginxLua({ port, redisPort, folder, secret }: Seat): StartCommand {
  const home = resolve('bench/peers/nginx-lua')
  const values: Readonly<Record<string, string>> = {
    FOLDER: folder,
    LUA: home,
    PORT: String(port),
    REDIS_PORT: String(redisPort)
  }
  const template = readFileSync(join(home, 'nginx.conf'), 'utf8')
  const conf = join(folder, 'nginx.conf')
  writeFileSync(
    conf,
    template.replace(/@([A-Z_]+)@/g, (_, name: string) => values[name] ?? '')
  )
  return {
    command: 'nginx',
    args: ['-p', '/usr/share/nginx', '-c', conf],
    env: { CIO_WEBHOOK_SECRET: secret }
  }
}

const everysec = { appendonly: 'yes', appendfsync: 'everysec' }
const always = { appendonly: 'yes', appendfsync: 'always' }
const basicPeer = { policy: 'basic', log: 'stream', repeatsAre: 'duplicate', redis: {} } as const

/** In the order of their turns: contestants that are compared run one after the other. */
export const contestants: readonly Contestant[] = [
  {
    ...basicPeer,
    name: 'bare',
    title: 'bare Fastify route',
    policy: 'none',
    log: 'nothing',
    repeatsAre: 'accepted',
    start: nodePeer('bare-fastify.js')
  },
  service('service-basic', 'this service, basic', 'basic'),
  service('service', 'this service', 'customerio'),
  { ...basicPeer, name: 'nginx-lua', title: 'nginx with Lua', start: nginxLua },

  {
    ...basicPeer,
    name: 'bullmq',
    title: 'Fastify with BullMQ',
    log: 'bullmq',
    repeatsAre: 'accepted',
    start: nodePeer('bullmq.js')
  },
  service('service-everysec', 'this service, AOF everysec', 'customerio', everysec),
  service('service-fsync', 'this service, fsync', 'customerio', always, { DURABILITY: 'fsync' }),
  service('service-logging', 'this service, with log lines', 'customerio', {}, { LOG_LEVEL: 'info' })
]
