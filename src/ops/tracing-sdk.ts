// Tested by test/ops/tracing.slow.test.ts. The only module that loads the OpenTelemetry SDK.
import {
  SpanKind as ApiKind,
  type Context,
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  SpanStatusCode,
  type Tracer,
  trace
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector
} from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider
} from '@opentelemetry/sdk-trace'
import { withTimeout } from '../async/abort.ts'
import type { SamplerSettings, TracingSettings } from '../settings/tracing.ts'
import { type EventTrace, eventTrace, parseTraceparent, traceparentOf } from '../trace-context.ts'
import { version } from '../version.ts'
import { createExportReport } from './export-report.ts'
import type { Logger } from './logger.ts'
import type { RecordedSpan, RemoteParent, SpanKind, SpanStart, Tracing } from './spans.ts'

/** A stop has 4.5 s, of which a delivery may take 3.4 s. */
const FLUSH_LIMIT_MS = 1000

const kinds: Readonly<Record<SpanKind, ApiKind>> = {
  server: ApiKind.SERVER,
  client: ApiKind.CLIENT,
  producer: ApiKind.PRODUCER
}

/** The exporter reads its variables from the environment itself: address, headers, certificates, compression, timeout. */
export function startSdk({ collector, sampler, batch }: TracingSettings, log: Logger): Tracing {
  const exporter = reportFailures(new OTLPTraceExporter(), collector, log)
  const provider = new TracerProvider({
    // Later ones replace earlier ones: OTEL_SERVICE_NAME replaces our name.
    resource: resourceFromAttributes({ 'service.name': 'cio-webhook', 'service.version': version }).merge(
      detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] })
    ),
    sampler: samplerOf(sampler),
    spanProcessors: [new BatchSpanProcessor({ ...batch, exporter })]
  })
  const tracer = provider.getTracer('cio-webhook', version)
  return {
    start: ({ parent, links = [], ...start }) => {
      const originMs = Date.now() - performance.now()
      return startSpan(tracer, contextOf(parent), originMs, start, links.flatMap(linkTo))
    },
    close: async () => {
      await withTimeout(FLUSH_LIMIT_MS, provider.shutdown()).catch(() => {})
    }
  }
}

/**
 * @param originMs unix milliseconds at which `performance.now()` was 0, the same for a whole trace: no adjustment of the
 *   system's clock changes its times, and a child never begins before its parent
 */
function startSpan(
  tracer: Tracer,
  context: Context,
  originMs: number,
  { name, kind, attributes, startedMs = performance.now() }: SpanStart,
  links: readonly Link[] = []
): RecordedSpan | undefined {
  const startTime = originMs + startedMs
  const options = { kind: kinds[kind], attributes: { ...attributes }, startTime, links: [...links] }
  const span = tracer.startSpan(name, options, context)
  const { traceId, spanId, traceState } = span.spanContext()
  // An unrecorded trace has nothing to pass on.
  const own = span.isRecording()
    ? eventTrace(traceparentOf({ traceId, spanId }), traceState?.serialize())
    : undefined
  if (own === undefined) return undefined
  return {
    traceId,
    spanId,
    trace: own,
    child: start => startSpan(tracer, trace.setSpan(context, span), originMs, start),
    end: (attributes, error) => {
      span.setAttributes({ ...attributes })
      if (error !== undefined) {
        span.setAttribute('error.type', error)
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      span.end(originMs + performance.now())
    }
  }
}

/** @returns `undefined` unless it is valid */
function spanContextOf({ traceparent, tracestate }: RemoteParent): SpanContext | undefined {
  const id = parseTraceparent(traceparent)
  if (id === undefined) return undefined
  return {
    ...id,
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) })
  }
}

function contextOf(parent: RemoteParent | undefined): Context {
  const spanContext = parent && spanContextOf(parent)
  return spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext)
}

function linkTo(event: EventTrace): readonly Link[] {
  const context = spanContextOf(event)
  return context === undefined ? [] : [{ context }]
}

/** What `OTEL_TRACES_SAMPLER` names. A trace id decides: services with the same ratio record the same traces. */
function samplerOf({ parentBased, ratio }: SamplerSettings): Sampler {
  const root = new TraceIdRatioBasedSampler(ratio)
  return parentBased ? new ParentBasedSampler({ root }) : root
}

/** The exporter and the SDK report failures to their own log only, which is off. */
function reportFailures(exporter: SpanExporter, collector: string, log: Logger): SpanExporter {
  const report = createExportReport(collector, log)
  return {
    export: (spans, done) =>
      exporter.export(spans, result => {
        if (result.error !== undefined) report(result.error, spans.length)
        done(result)
      }),
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown()
  }
}
