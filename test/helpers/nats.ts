import { connect } from 'node:net'
import { freePort, type RunningServer, startServer } from './server.ts'

export interface TestNats extends RunningServer {
  readonly port: number
  readonly url: string
}

/** A real nats-server with JetStream on a free port; the folder keeps what is in its streams. */
export async function startNats(
  options: { readonly port?: number; readonly folder?: string; readonly args?: readonly string[] } = {}
): Promise<TestNats> {
  const port = options.port ?? (await freePort())
  const server = await startServer({
    command: 'nats-server',
    args: ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', 'jetstream', ...(options.args ?? [])],
    ...(options.folder === undefined ? {} : { folder: options.folder }),
    ready: () => accepts(port)
  })
  return { ...server, port, url: `nats://127.0.0.1:${port}` }
}

/** Does somebody listen there? */
export function accepts(port: number): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => done(false))
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
  })
}
