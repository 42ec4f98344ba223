import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ServerOptions } from '../test/helpers/server.ts'

/** Everything a contestant is told when it starts. */
export interface Seat {
  readonly port: number
  readonly redisPort: number
  /** Its own, and gone afterwards. */
  readonly folder: string
  readonly secret: string
}

export type StartCommand = Pick<ServerOptions, 'command' | 'args' | 'folder'> & {
  readonly env: Readonly<Record<string, string>>
}

export interface Contestant {
  readonly name: string
  /** What it is, in the words of the table. */
  readonly title: string
  readonly policy: 'basic' | 'customerio' | 'none'
  /** Where the judge finds the events; `nothing` for the floor, which keeps none. */
  readonly log: 'service' | 'stream' | 'bullmq' | 'nothing'
  /** How a delivery whose id was seen before is answered. */
  readonly repeatsAre: 'duplicate' | 'otherOk' | 'accepted'
  /** Settings of its Redis; without any it keeps nothing on disk. */
  readonly redis: Readonly<Record<string, string>>
  readonly start: (seat: Seat) => StartCommand
}

/** One way to run this service. Its log line a delivery is off, as the access logs of the peers are. */
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

/** Runs this service. @param env where its Redis is, and what else is not as usual */
export function serviceCommand(
  { port, secret }: Pick<Seat, 'port' | 'secret'>,
  env: Readonly<Record<string, string>>
): StartCommand {
  return {
    command: process.execPath,
    args: [resolve('dist/cli/main.js'), 'serve'],
    env: {
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

const redpandaConnect =
  (pipeline: string) =>
  ({ port, redisPort, secret }: Seat): StartCommand => ({
    command: resolve('build/bench/bin/redpanda-connect'),
    args: ['run', pipeline],
    folder: resolve('bench/peers/redpanda-connect'),
    env: { PORT: String(port), REDIS_PORT: String(redisPort), CIO_WEBHOOK_SECRET: secret }
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

/** In the order in which they take turns: what is compared most runs next to each other. */
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
    name: 'redpanda-atomic',
    title: 'Redpanda Connect, script',
    start: redpandaConnect('atomic.yaml')
  },
  {
    ...basicPeer,
    name: 'redpanda-dedupe',
    title: 'Redpanda Connect, dedupe cache',
    repeatsAre: 'otherOk',
    start: redpandaConnect('dedupe.yaml')
  },
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
  service('service-logging', 'this service, a log line each', 'customerio', {}, { LOG_LEVEL: 'info' })
]
