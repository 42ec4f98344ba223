import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connect } from 'amqplib'
import { freePort, isListening, type RunningServer, startServer, temporaryFolder } from './server.ts'

export interface TestRabbit extends RunningServer {
  readonly port: number
  readonly url: string
  /** Runs `rabbitmqctl`. */
  control(...args: readonly string[]): Promise<void>
}

/**
 * A RabbitMQ on a free port: an Erlang node with its own name, cookie and name server (epmd), so that it is
 * independent of others on this machine. Its queues are stored in the folder.
 */
export async function startRabbit(
  options: {
    readonly port?: number
    readonly folder?: string
    /** Additional lines of rabbitmq.conf. */
    readonly settings?: readonly string[]
  } = {}
): Promise<TestRabbit> {
  const port = options.port ?? (await freePort())
  const folder = options.folder ?? temporaryFolder()
  const [epmdPort, distributionPort] = [await freePort(), await freePort()]
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'plugins'), '[].\n')
  writeFileSync(
    join(folder, 'rabbitmq.conf'),
    ['loopback_users = none', ...(options.settings ?? []), ''].join('\n')
  )
  const env = {
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    // Otherwise a RabbitMQ that is killed could leave another name server behind.
    ERL_FLAGS: '-start_epmd false',
    RABBITMQ_NODENAME: `cio-${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'no-such-file'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    // Makes the shell script exec Erlang, so that signals reach Erlang.
    RUNNING_UNDER_SYSTEMD: 'true'
  }
  const epmd = await startServer({
    command: 'epmd',
    args: ['-port', String(epmdPort), '-address', '127.0.0.1'],
    folder,
    ready: () => isListening(epmdPort)
  })
  const url = `amqp://127.0.0.1:${port}`
  try {
    const server = await startServer({
      // Debian's wrapper script requires its own user and folder; this is the script that it calls.
      command: '/usr/lib/rabbitmq/bin/rabbitmq-server',
      args: [],
      folder,
      env,
      timeoutMs: 180_000,
      ready: async () => {
        if (!(await isListening(port))) return false
        return connect(url).then(
          async connection => {
            await connection.close()
            return true
          },
          () => false
        )
      }
    })
    return {
      ...server,
      port,
      url,
      control: async (...args) => {
        await promisify(execFile)('/usr/lib/rabbitmq/bin/rabbitmqctl', args, {
          env: { ...process.env, ...env }
        })
      },
      stop: async signal => {
        await server.stop(signal)
        await epmd.stop()
      }
    }
  } catch (error) {
    await epmd.stop()
    throw error
  }
}
