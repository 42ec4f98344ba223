import type { Environment } from './environment.ts'

/** How traces are recorded, from the standard variables of OpenTelemetry that the SDK does not read itself. */
export interface TracingSettings {
  /** Where spans go, for log lines: without the path, and without credentials. */
  readonly collector: string
  readonly sampler: SamplerSettings
  readonly batch: BatchSettings
}

export interface SamplerSettings {
  /** Whether a trace that a caller has begun is recorded if the caller records it. */
  readonly parentBased: boolean
  /** The part of the other traces that is recorded, from 0 to 1. */
  readonly ratio: number
}

interface BatchSettings {
  readonly maxQueueSize: number
  readonly maxExportBatchSize: number
  readonly scheduledDelayMillis: number
  readonly exportTimeoutMillis: number
}

/** Traces are wanted, but cannot be recorded. */
interface TracingProblem {
  readonly problem: string
}

const SAMPLERS = ['always_on', 'always_off', 'traceidratio']
const DEFAULT_SAMPLER = 'parentbased_always_on'

/**
 * @returns `undefined` if traces are not wanted: no collector is named, or they are switched off. Never throws: the
 * specification of these variables says that a wrong one must not stop the program
 */
export function tracingSettings(env: Environment): TracingSettings | TracingProblem | undefined {
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT']
  const exporter = env['OTEL_TRACES_EXPORTER'] || 'otlp'
  if (!endpoint || env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || exporter === 'none') return undefined
  const protocol =
    env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || 'http/protobuf'
  if (exporter !== 'otlp') return { problem: 'OTEL_TRACES_EXPORTER must be otlp or none' }
  if (protocol !== 'http/protobuf') {
    return {
      problem:
        'OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf; the port of a collector for it is 4318 as a rule'
    }
  }
  const collector = originOf(endpoint)
  if (collector === undefined) {
    return { problem: 'OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// URL' }
  }
  const sampler = samplerSettings(env)
  if (sampler === undefined) {
    return {
      problem: `OTEL_TRACES_SAMPLER must be one of ${SAMPLERS.join(', ')}, or one of these after parentbased_, and OTEL_TRACES_SAMPLER_ARG a number from 0 to 1`
    }
  }
  return { collector, sampler, batch: batchSettings(env) }
}

function originOf(endpoint: string): string | undefined {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  return url !== undefined && /^https?:$/.test(url.protocol) ? url.origin : undefined
}

function samplerSettings(env: Environment): SamplerSettings | undefined {
  const name = env['OTEL_TRACES_SAMPLER'] || DEFAULT_SAMPLER
  const root = name.replace(/^parentbased_/, '')
  if (!SAMPLERS.includes(root)) return undefined
  const parentBased = root !== name
  if (root !== 'traceidratio') return { parentBased, ratio: root === 'always_on' ? 1 : 0 }
  const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG'] || 1)
  return ratio >= 0 && ratio <= 1 ? { parentBased, ratio } : undefined
}

/** The defaults are those of the specification. */
function batchSettings(env: Environment): BatchSettings {
  const maxQueueSize = positive(env['OTEL_BSP_MAX_QUEUE_SIZE'], 2048)
  return {
    maxQueueSize,
    maxExportBatchSize: Math.min(maxQueueSize, positive(env['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'], 512)),
    scheduledDelayMillis: positive(env['OTEL_BSP_SCHEDULE_DELAY'], 5000),
    exportTimeoutMillis: positive(env['OTEL_BSP_EXPORT_TIMEOUT'], 30_000)
  }
}

function positive(text: string | undefined, standard: number): number {
  return text !== undefined && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : standard
}
