import { freePort, isListening, type RunningServer, startServer } from './server.ts'

export interface TestNats extends RunningServer {
  readonly port: number
  readonly url: string
}

/** A nats-server with JetStream. @param options default: a free port, and a temporary folder for its streams */
export async function startNats(
  options: { readonly port?: number; readonly folder?: string; readonly args?: readonly string[] } = {}
): Promise<TestNats> {
  const port = options.port ?? (await freePort())
  const server = await startServer({
    command: 'nats-server',
    args: ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', 'jetstream', ...(options.args ?? [])],
    ...(options.folder === undefined ? {} : { folder: options.folder }),
    ready: () => isListening(port)
  })
  return { ...server, port, url: `nats://127.0.0.1:${port}` }
}
