import type { tracingSettings } from '../settings/tracing.ts'
import type { Logger } from './logger.ts'
import type { Tracing } from './spans.ts'

/** The SDK (3.1) and the exporter say so in their package.json. */
const MIN_NODE = { major: 22, minor: 15 }

/**
 * Loads the OpenTelemetry SDK if traces are wanted. If they cannot be recorded, one log line says why, and the service
 * runs without them.
 */
export async function openTracing(
  settings: ReturnType<typeof tracingSettings>,
  log: Logger,
  nodeVersion = process.versions.node
): Promise<Tracing | undefined> {
  if (settings === undefined) return undefined
  if ('problem' in settings) {
    log.warn(`traces are not recorded: ${settings.problem}`)
    return undefined
  }
  if (isOlder(nodeVersion)) {
    log.warn(
      `traces are not recorded: the OpenTelemetry SDK needs Node ${MIN_NODE.major}.${MIN_NODE.minor} or newer, this is ${nodeVersion}`
    )
    return undefined
  }
  try {
    const { startSdk } = await import('./tracing-sdk.ts')
    const tracing = startSdk(settings, log)
    log.info({ collector: settings.collector, sampler: settings.sampler }, 'recording traces')
    return tracing
  } catch (error) {
    log.warn(
      { err: error },
      'traces are not recorded: the OpenTelemetry SDK cannot be loaded; install it with npm ci, without --omit=optional'
    )
    return undefined
  }
}

function isOlder(nodeVersion: string): boolean {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  return major < MIN_NODE.major || (major === MIN_NODE.major && minor < MIN_NODE.minor)
}
