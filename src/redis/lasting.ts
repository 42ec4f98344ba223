// Tested by test/redis/lasting.slow.test.ts, test/redis/recovery.slow.test.ts and test/redis/disconnect.slow.test.ts.
/*
 * The clients of ioredis 6.0, changed in two respects: they connect again after every fault, and they always end when
 * they are closed. The comments say what ioredis does otherwise.
 */
import { Socket } from 'node:net'
import {
  type AbstractConnector,
  type Callback,
  Cluster,
  type ClusterNode,
  type ClusterOptions,
  Redis,
  type RedisOptions,
  type SentinelConnectionOptions,
  SentinelConnector
} from 'ioredis'
import { keepDatabase } from './database.ts'

/** Clients that must not connect again. Not a field: the constructors of ioredis call `connect`. */
const closed = new WeakSet<Redis | Cluster>()
/** Clients after `disconnect()`, until the next `connect()`. */
const ended = new WeakSet<Cluster>()
/** The copies that BullMQ made of a client. It does not close a copy that never was connected. */
const copies = new WeakMap<Redis | Cluster, (Redis | Cluster)[]>()

/** The time limit of a reply, in addition to the time that the command may block. */
const REPLY_MS = 4000

const closedError = (): Error => new Error('Connection is closed.')

/** A client for one server, or for a master behind Sentinel. It stays in the database of its options: `keepDatabase`. */
export class LastingRedis extends Redis {
  constructor(options: RedisOptions) {
    const connector = options.sentinels == null ? {} : { Connector: LastingSentinelConnector }
    super({ ...options, ...connector, replyMapping: 'legacy' })
    keepDatabase(this)
    const duplicate = (override?: Partial<RedisOptions>): Redis =>
      addCopy(this, forBlocking(new LastingRedis({ ...this.options, ...override })))
    Object.assign(this, { duplicate })
  }

  override connect(callback?: Callback<void>): Promise<void> {
    ignoreLateErrors(this)
    return closed.has(this) ? Promise.reject(closedError()) : super.connect(callback)
  }

  override disconnect(reconnect = false): void {
    if (reconnect && (this.status === 'connecting' || this.status === 'reconnecting')) return
    // Without a socket, ioredis would wait for its end, and never settle the queued commands.
    if (this.status === 'reconnecting') this.status = 'wait'
    super.disconnect(reconnect)
  }
}

class LastingSentinelConnector extends SentinelConnector {
  /** @param options those of the client, whose type ioredis leaves open */
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions)
    // ioredis prints the errors of the failover detector's connections, with their stack.
    const connect: (...args: unknown[]) => Redis = Reflect.get(this, 'connectToSentinel').bind(this)
    Object.assign(this, { connectToSentinel: (...args: unknown[]) => connect(...args).on('error', () => {}) })
  }

  /**
   * Never rejects: ioredis would end the client for good. A closed socket makes it connect again. One cause is the
   * failover detector of the lost connection: told of the failover, it ends the search for the new master.
   */
  override async connect(
    ...args: Parameters<SentinelConnector['connect']>
  ): ReturnType<SentinelConnector['connect']> {
    try {
      const stream = await super.connect(...args)
      stream.once('close', () => {
        // The failover detector, which ioredis would leave connected to all sentinels, is all that is left to end.
        Reflect.deleteProperty(this, 'stream')
        this.disconnect()
      })
      return stream
    } catch (error) {
      if (error instanceof Error) this.firstError = error
      return new Socket().destroy()
    }
  }
}

/** A client for a Cluster. */
export class LastingCluster extends Cluster {
  constructor(startupNodes: ClusterNode[], options: ClusterOptions) {
    super(startupNodes, { ...options, redisOptions: { ...options.redisOptions, replyMapping: 'legacy' } })
    const duplicate = (_: unknown, { redisOptions, ...override }: ClusterOptions = {}): Cluster => {
      const copy = new LastingCluster(startupNodes, {
        ...this.options,
        ...override,
        redisOptions: { ...this.options.redisOptions, ...redisOptions }
      })
      return addCopy(this, copy.on('+node', forBlocking))
    }
    Object.assign(this, { duplicate })
    this.on('+node', ignoreLateErrors)
    // A `disconnect` is undone if it comes while the slots are read for the first time, or the state is checked.
    const endAgain = (): void => {
      if (ended.has(this)) this.disconnect()
    }
    this.on('connect', endAgain)
    this.on('ready', endAgain)
    // Nothing continues after a node that ends late, while the names of the startup nodes are resolved.
    this.on('close', () => setImmediate(() => this.status === 'close' && this.disconnect(!ended.has(this))))
  }

  /** Also settles if the first check of the state fails. ioredis would connect again and forget the promise. */
  override connect(): Promise<void> {
    if (closed.has(this)) {
      this.disconnect()
      return Promise.reject(closedError())
    }
    ended.delete(this)
    const stop = new AbortController()
    const settled = new Promise<void>((resolve, reject) => {
      const listen = (event: string, listener: () => void): void => {
        this.once(event, listener)
        stop.signal.addEventListener('abort', () => this.off(event, listener))
      }
      listen('ready', resolve)
      // A `close` before it is the end of an earlier connection.
      listen('connecting', () => listen('close', () => reject(closedError())))
      super.connect().then(resolve, reject)
    })
    return settled.finally(() => stop.abort())
  }

  override disconnect(reconnect = false): void {
    if (reconnect && this.status === 'reconnecting') return
    if (!reconnect) ended.add(this)
    // The end of the last node is the signal to continue. Without any, ioredis would wait for it.
    if (this.nodes().length === 0) this.status = 'wait'
    super.disconnect(reconnect)
  }

  /** The callback sets the timer of the next refresh, also after a `disconnect`. */
  override refreshSlotsCache(callback?: Callback<void>): void {
    super.refreshSlotsCache(error => {
      if (!ended.has(this)) callback?.(error)
    })
  }
}

/**
 * A TLS socket can have an error, such as an alert of the server, after the error that ended it. ioredis listens for one
 * error only; the second would end the process.
 */
function ignoreLateErrors(redis: Redis): void {
  const connector: AbstractConnector = Reflect.get(redis, 'connector')
  if (Object.hasOwn(connector, 'connect')) return
  const connect = connector.connect.bind(connector)
  connector.connect = async (...args) => (await connect(...args)).on('error', () => {})
}

/** BullMQ blocks copies. Silence means that the server is gone only after the seconds that the command may block. */
function forBlocking(copy: Redis): Redis {
  const send = copy.sendCommand.bind(copy)
  const sendCommand: typeof send = (command, ...more) => {
    const blockSeconds = command.name === 'bzpopmin' ? Number(command.args.at(-1)) : 0
    copy.options.socketTimeout = blockSeconds * 1000 + REPLY_MS
    return send(command, ...more)
  }
  return Object.assign(copy, { sendCommand })
}

function addCopy<T extends Redis | Cluster>(original: Redis | Cluster, copy: T): T {
  copies.set(original, [...(copies.get(original) ?? []), copy])
  return copy
}

/** Closes a client and its copies for good. */
export function closeForGood(redis: Redis | Cluster): void {
  closed.add(redis)
  for (const copy of copies.get(redis) ?? []) closeForGood(copy)
  redis.disconnect()
}

/** The nodes that a client of a user was made with, which ioredis keeps to itself. */
export const startupNodesOf = (cluster: Cluster): ClusterNode[] => Reflect.get(cluster, 'startupNodes')
