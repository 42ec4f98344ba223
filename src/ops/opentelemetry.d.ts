// Tested by test/ops/tracing.slow.test.ts.
/*
 * The part of the OpenTelemetry SDK that tracing-sdk.ts uses. The packages need Node 22.15, so npm does not install them
 * on an older Node, where types are checked too.
 */
declare module '@opentelemetry/resources' {
  export interface Resource {
    merge(other: Resource): Resource
  }
  interface ResourceDetector {
    detect(): unknown
  }
  export const resourceAttributesEnvDetector: ResourceDetector
  export const serviceNameEnvDetector: ResourceDetector
  export function detectResources(config: { readonly detectors: readonly ResourceDetector[] }): Resource
  export function resourceFromAttributes(attributes: Readonly<Record<string, string>>): Resource
}

declare module '@opentelemetry/sdk-trace' {
  import type { TracerProvider as ApiTracerProvider } from '@opentelemetry/api'
  import type { Resource } from '@opentelemetry/resources'

  export interface SpanExporter {
    export(
      spans: readonly unknown[],
      done: (result: { readonly code: number; readonly error?: Error }) => void
    ): void
    shutdown(): Promise<void>
    forceFlush?(): Promise<void>
  }
  export interface Sampler {
    toString(): string
  }
  interface SpanProcessor {
    shutdown(): Promise<void>
  }
  export class AlwaysOnSampler implements Sampler {}
  export class TraceIdRatioBasedSampler implements Sampler {
    constructor(ratio: number)
  }
  export class ParentBasedSampler implements Sampler {
    constructor(config: { readonly root: Sampler })
  }
  export class BatchSpanProcessor implements SpanProcessor {
    constructor(options: {
      readonly exporter: SpanExporter
      readonly maxQueueSize?: number
      readonly maxExportBatchSize?: number
      readonly scheduledDelayMillis?: number
      readonly exportTimeoutMillis?: number
    })
    shutdown(): Promise<void>
  }
  export class TracerProvider implements ApiTracerProvider {
    constructor(options: {
      readonly resource: Resource
      readonly sampler: Sampler
      readonly spanProcessors: readonly SpanProcessor[]
    })
    getTracer: ApiTracerProvider['getTracer']
    shutdown(): Promise<void>
  }
}

declare module '@opentelemetry/exporter-trace-otlp-proto' {
  import type { SpanExporter } from '@opentelemetry/sdk-trace'

  export class OTLPTraceExporter implements SpanExporter {
    constructor(options?: { readonly url: string })
    export: SpanExporter['export']
    shutdown(): Promise<void>
  }
}
