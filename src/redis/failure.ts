import type { Redis } from 'ioredis'
import { ReportedError } from '../errors.ts'
import { describeRedis, type RedisAddress, usesTls } from '../settings/redis-address.ts'
import { codeCause, errorCause, FINDINGS, replyCause } from './causes.ts'
import type { RedisClient } from './connect.ts'
import { examine, PONG, type Server } from './examine.ts'
import { isCluster } from './is-cluster.ts'

/** For operators: no password, no user text, no payload. */
export interface RedisFailure {
  /** Host and port of the server that failed, or of all that are configured. */
  readonly address: string
  /** A code with an explanation and the next step: `WRONGPASS (wrong user or password)`. */
  readonly cause: string
}

export interface Failures {
  /**
   * Why Redis cannot be used. If neither the error nor those of the connection say it, the server is examined.
   *
   * @param error of a command, if one has failed
   * @returns after at most 2 s. Never rejects
   */
  describe(error?: unknown): Promise<RedisFailure>
  /** Whether the last description came too early: the server answers, and the handshake of the connection has begun. */
  isConnecting(): boolean
}

interface Seen {
  /** Of the node or sentinel; `undefined` for a single server. */
  readonly node: string | undefined
  readonly error: unknown
}

interface Found {
  readonly atMs: number
  readonly failure: RedisFailure
}

/** A service asks twice per second. */
const FINDING_VALID_MS = 5000

const remember = (failure: RedisFailure): Found => ({ atMs: performance.now(), failure })
const isRecent = (found: Found | undefined): found is Found =>
  found !== undefined && performance.now() - found.atMs < FINDING_VALID_MS

/** Follows the errors of a connection, so that it is known why it fails. */
export function followFailures(redis: RedisClient, address: RedisAddress): Failures {
  let last: Seen | undefined
  /** Where the sentinels have sent us. */
  let master: string | undefined
  const note = (error: unknown, node?: string): void => {
    last = { node, error }
  }
  if (isCluster(redis)) {
    redis.on('node error', (error: unknown, node: string) => note(error, node))
  } else {
    redis.on('error', (error: unknown) => {
      // The summary after the error of each sentinel.
      if (error instanceof Error && error.message.startsWith('All sentinels are unreachable')) return
      if (address.kind === 'sentinel') master = addressOf(error) ?? master
      note(error, master)
    })
    redis.on('sentinelError', noteSentinel)
    redis.on('connect', () => {
      if (address.kind === 'sentinel') master = remoteAddress(redis)
    })
  }
  let examined: Found | undefined
  let answers = false
  let refused: Found | undefined
  redis.on('ready', () => {
    last = undefined
  })

  return {
    isConnecting: () => answers && !isCluster(redis) && redis.status === 'connect',
    describe: async error => {
      answers = false
      const node = last?.node ?? master
      const where = node ?? describeRedis(address)
      const cause = errorCause(error)
      if (cause !== undefined) {
        refused = remember({ address: where, cause })
        return refused.failure
      }
      const lastCause = errorCause(last?.error)
      if (lastCause !== undefined) return { address: where, cause: lastCause }
      if (isRecent(examined)) return examined.failure
      const failure = await examineAll(node)
      if (failure !== undefined) {
        examined = remember(failure)
        return failure
      }
      // The client reconnects because of what a command has just found out.
      return isRecent(refused) ? refused.failure : { address: where, cause: fallback() }
    }
  }

  /** The error of a sentinel is only in the text of this one. */
  function noteSentinel(error: Error): void {
    const [, sentinel, text = ''] = /sentinel (\S+) because (.*)/s.exec(error.message) ?? []
    const reply = replyCause(text)
    note(reply === undefined ? undefined : new ReportedError(reply), sentinel)
  }

  /** The servers are asked at the same time. @returns what the first one has that has something */
  async function examineAll(node: string | undefined): Promise<RedisFailure | undefined> {
    // The connections to sentinels never use TLS.
    const tls = usesTls(address) && !(address.kind === 'sentinel' && node !== master)
    const servers = node === undefined ? serversOf(redis, address) : [node]
    const found = await Promise.all(
      servers.map(async name => ({ address: name, cause: await examine(parseServer(name), tls) }))
    )
    answers = found.some(({ cause }) => cause === PONG)
    return found.flatMap(({ address, cause }) =>
      cause === undefined || cause === PONG ? [] : [{ address, cause }]
    )[0]
  }

  /** The server answers as a Redis does. */
  function fallback(): string {
    // For these two the client waits or reconnects without an error.
    if (isCluster(redis)) return redis.status === 'ready' ? FINDINGS.closed : codeCause('CLUSTERDOWN')
    return redis.status === 'connect' ? codeCause('LOADING') : FINDINGS.closed
  }
}

function serversOf(redis: RedisClient, address: RedisAddress): readonly string[] {
  if (address.kind === 'standalone') return [describeRedis(address)]
  const configured = address.nodes.map(({ host, port }) => `${host}:${port}`)
  if (!isCluster(redis)) return configured
  const known = redis.nodes('master').map(({ options }) => `${options.host}:${options.port}`)
  return known.length > 0 ? known : configured
}

function parseServer(name: string): Server {
  if (name.startsWith('/')) return { path: name }
  const colon = name.lastIndexOf(':')
  return { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) }
}

/** Of an error of a socket that was not connected. */
function addressOf(error: unknown): string | undefined {
  if (!(error instanceof Error && 'address' in error && 'port' in error)) return undefined
  return `${error.address}:${error.port}`
}

function remoteAddress({ stream }: Redis): string | undefined {
  const { remoteAddress, remotePort } = stream
  return remoteAddress === undefined ? undefined : `${remoteAddress}:${remotePort}`
}
