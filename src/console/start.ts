// Tested by test/console/access.test.ts and test/cli/serve/command.test.ts.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { ConfigError, errorCode } from '../errors.ts'
import type { ConsoleDependencies } from './context.ts'
import { buildConsole } from './server.ts'

export interface RunningConsole {
  readonly port: number
  close(): Promise<void>
}

/** @throws ConfigError if the port of `CONSOLE_PORT` cannot be listened on */
export async function startConsole(dependencies: ConsoleDependencies): Promise<RunningConsole> {
  const { settings, log } = dependencies
  const app = await buildConsole(dependencies)
  const port = await listen(app, dependencies)
  const url =
    settings.url?.href ??
    `http://${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${port}/`
  log.info({ url, access: settings.access.kind }, 'console is open')
  return { port, close: () => app.close() }
}

async function listen(app: FastifyInstance, { settings }: ConsoleDependencies): Promise<number> {
  const { host, port, isPortChosen } = settings
  try {
    await listenOn(port)
  } catch (cause) {
    // Two services in development on one machine: the second one takes a free port.
    if (!isPortChosen && errorCode(cause) === 'EADDRINUSE') await listenOn(0)
    else {
      await app.close()
      throw new ConfigError(
        `cannot listen on CONSOLE_PORT=${port}, CONSOLE_HOST=${host} (${errorCode(cause) ?? 'unknown'}): give a free port, and an address of this machine`,
        { cause }
      )
    }
  }
  const address: string | AddressInfo | null = app.server.address()
  return address !== null && typeof address === 'object' ? address.port : 0

  /** `exclusive`: a worker has this port for itself. */
  async function listenOn(chosen: number): Promise<void> {
    await app.listen({ host, port: chosen, exclusive: true })
  }
}
