import { type ChildProcess, spawn } from 'node:child_process'
import { freePort, until } from './server.ts'

export interface JaegerSpan {
  readonly traceID: string
  readonly spanID: string
  readonly operationName: string
  readonly references: readonly {
    readonly refType: string
    readonly traceID: string
    readonly spanID: string
  }[]
  readonly tags: readonly { readonly key: string; readonly value: unknown }[]
  readonly startTime: number
  readonly duration: number
}

export interface Jaeger {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string
  /** Spans of a trace that have arrived so far. */
  spansOf(traceId: string): Promise<readonly JaegerSpan[]>
  services(): Promise<readonly string[]>
  stop(): void
}

/** Jaeger with its storage in memory. @param program scripts/jaeger.sh prints its path */
export async function startJaeger(program: string): Promise<Jaeger> {
  const options = [
    ...['admin.http', 'collector.grpc-server', 'collector.http-server', 'collector.otlp.grpc'],
    ...['collector.otlp.http', 'query.grpc-server', 'query.http-server']
  ]
  const ports = new Map<string, number>()
  for (const option of options) ports.set(option, await freePort())
  const args = [...ports].map(([option, port]) => `--${option}.host-port=127.0.0.1:${port}`)
  const child: ChildProcess = spawn(program, args, { stdio: 'ignore' })
  const api = `http://127.0.0.1:${ports.get('query.http-server')}/api`
  const read = async <T>(path: string): Promise<T | undefined> => {
    const response = await fetch(`${api}/${path}`)
    return response.ok ? ((await response.json()) as { readonly data: T }).data : undefined
  }
  await until(
    'Jaeger answers',
    () =>
      read('services').then(
        () => true,
        () => false
      ),
    30_000
  )
  return {
    endpoint: `http://127.0.0.1:${ports.get('collector.otlp.http')}`,
    spansOf: async traceId =>
      (await read<readonly { readonly spans: readonly JaegerSpan[] }[]>(`traces/${traceId}`))?.[0]?.spans ??
      [],
    services: async () => (await read<readonly string[]>('services')) ?? [],
    stop: () => void child.kill('SIGKILL')
  }
}

/** The value of an attribute. */
export const tag = ({ tags }: JaegerSpan, key: string): unknown => tags.find(tag => tag.key === key)?.value
