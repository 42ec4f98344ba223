// Tested by test/cli/serve/private-redis.slow.test.ts.
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError } from '../errors.ts'
import { createDataDir } from '../settings/data-dir.ts'
import { PRIVATE_SOCKET } from '../settings/redis-address.ts'

/** A Redis that belongs to this process, for development. */
export interface DevRedis {
  readonly socket: string
  /** A command that opens it. */
  readonly cli: string
  stop(): Promise<void>
}

/** Linux allows 108 bytes for the path of a unix socket, including a final zero. */
const MAX_SOCKET_PATH = 107
const START_TIMEOUT_MS = 10_000
const POLL_MS = 25
const PROBE_TIMEOUT_MS = 1000
/** The Redis of a process that was just killed is still writing its data to disk before it ends. */
const SHUTDOWN_TIMEOUT_MS = 5000

/**
 * Runs redis-server until standard input ends: when we close it, and when this process ends, even by SIGKILL. POSIX has no
 * signal for the death of a parent process.
 */
const SUPERVISOR = 'redis-server "$@" & pid=$!; cat; kill "$pid"; wait "$pid"'

/**
 * Starts a `redis-server` with an append-only file in `<dataDir>/redis`, reachable through a unix socket that
 * only this user may open. It ends with this process, even when that is killed.
 *
 * @throws ConfigError when it is not installed, does not come up, or the folder is in use by another one
 */
export async function startDevRedis(dataDir: string): Promise<DevRedis> {
  const socket = resolve(dataDir, PRIVATE_SOCKET)
  const folder = dirname(socket)
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH) {
    throw new ConfigError(
      `DATA_DIR=${dataDir} is too long for the path of a socket: use a shorter one, or set REDIS_URL`
    )
  }
  createDataDir(dataDir, folder, 0o700)
  if (!(await isFree(socket))) {
    throw new ConfigError(
      `DATA_DIR=${dataDir} is in use by a running cio-webhook: stop it, or use another folder`
    )
  }

  const child = spawn('sh', ['-c', SUPERVISOR, 'redis-server', ...serverArguments(folder, socket)], {
    // A process group of its own: Ctrl-C ends this process first, which stops Redis after the requests in flight.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore']
  })
  const ended = new Promise<void>(done => child.once('exit', () => done()))
  let running = true
  void ended.then(() => {
    running = false
  })

  const deadline = performance.now() + START_TIMEOUT_MS
  while ((await probe(socket)) !== 'ready') {
    if (!running || performance.now() > deadline) {
      child.stdin.end()
      throw new ConfigError(
        'redis-server did not start: install it (apt-get install redis-server), or set REDIS_URL=redis://host:port'
      )
    }
    await sleep(POLL_MS)
  }
  return {
    socket,
    cli: `redis-cli -s ${socket}`,
    stop: async () => {
      child.stdin.end()
      await ended
    }
  }
}

function serverArguments(folder: string, socket: string): string[] {
  const settings = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction'
  }
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
}

/** Waits for a Redis that is shutting down. @returns false if the socket is still in use after that */
async function isFree(socket: string): Promise<boolean> {
  const deadline = performance.now() + SHUTDOWN_TIMEOUT_MS
  while ((await probe(socket)) !== 'closed') {
    if (performance.now() > deadline) return false
    await sleep(POLL_MS)
  }
  return true
}

/** `silent`: it accepts the connection, but does not reply in time, since it is stopped, starting or shutting down. */
function probe(socket: string): Promise<'closed' | 'silent' | 'ready'> {
  return new Promise(resolve => {
    const client = connect(socket)
    client.setTimeout(PROBE_TIMEOUT_MS, () => client.destroy())
    let isConnected = false
    client.once('connect', () => {
      isConnected = true
      client.write('PING\r\n')
    })
    client.once('data', data => {
      client.destroy()
      if (data.toString().startsWith('+PONG')) resolve('ready')
    })
    client.on('error', () => {})
    client.once('close', () => resolve(isConnected ? 'silent' : 'closed'))
  })
}
