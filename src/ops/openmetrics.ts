import { EXEMPLARS } from './exemplars.ts'

export const OPENMETRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

const CARRIED = new RegExp(
  `^${EXEMPLARS}\\{histogram="(\\w+)",le="([^"]+)",trace_id="([0-9a-f]{32})",seconds="([^"]+)"\\} (\\S+)$`,
  'gm'
)

/**
 * Whether a scraper prefers OpenMetrics to the text format. A wildcard does not ask for it, so that curl and older scrapers
 * get the text format.
 *
 * @param accept the header of the request
 */
export function prefersOpenMetrics(accept = ''): boolean {
  let openMetrics = 0
  let text = 0
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim())
    const weight = Number(parameterOf(parameters, 'q') ?? 1)
    if (type === 'text/plain') text = Math.max(text, weight)
    else if (
      type === 'application/openmetrics-text' &&
      (parameterOf(parameters, 'version') ?? '1.0.0') === '1.0.0'
    )
      openMetrics = Math.max(openMetrics, weight)
  }
  return openMetrics > 0 && openMetrics >= text
}

const parameterOf = (parameters: readonly string[], name: string): string | undefined =>
  parameters.find(parameter => parameter.startsWith(`${name}=`))?.slice(name.length + 1)

/** @param metrics the output of a registry. @returns it without the exemplars, which the text format does not have */
export const toPrometheusText = (metrics: string): string =>
  metrics.includes(`# TYPE ${EXEMPLARS} `)
    ? `${familiesOf(metrics)
        .filter(family => !isCarrier(family))
        .join('\n\n')}\n`
    : metrics

/**
 * Not made by prom-client: it renames the counters of the registry for good, and cannot do it for several workers. The
 * bounds of buckets are left as the text format writes them (`le="1"`, not `le="1.0"`): before version 3, Prometheus takes
 * them for different series.
 *
 * @param metrics the output of a registry: text format, with the metric of exemplars.ts
 * @returns the same series in OpenMetrics 1.0, histograms with exemplars
 */
export function toOpenMetrics(metrics: string): string {
  const families = familiesOf(metrics)
  const exemplars = exemplarsIn(families.find(isCarrier) ?? '')
  const lines = families
    .filter(family => family !== '' && !isCarrier(family))
    .flatMap(family => openMetricsFamily(family, exemplars))
  return [...lines, '# EOF\n'].join('\n')
}

/** In the text format of prom-client, an empty line is between two families and nowhere else. */
const familiesOf = (metrics: string): readonly string[] => metrics.trimEnd().split('\n\n')

const isCarrier = (family: string): boolean => family.startsWith(`# HELP ${EXEMPLARS} `)

/** By sample, such as `cio_delivery_duration_seconds_bucket{le="0.1"}`: the latest of all workers. */
function exemplarsIn(carrier: string): ReadonlyMap<string, string> {
  const latest = [...carrier.matchAll(CARRIED)].sort((one, other) => Number(one[5]) - Number(other[5]))
  return new Map(
    latest.map(([, histogram, le, traceId, seconds, unixSeconds]) => [
      `${histogram}_bucket{le="${le}"}`,
      ` # {trace_id="${traceId}"} ${seconds} ${unixSeconds}`
    ])
  )
}

function openMetricsFamily(family: string, exemplars: ReadonlyMap<string, string>): readonly string[] {
  const isCounter = /^# TYPE \S+ counter$/m.test(family)
  return family.split('\n').map(line => {
    if (!line.startsWith('#')) return line + (exemplars.get(line.slice(0, line.lastIndexOf(' '))) ?? '')
    // Only the samples of a counter end in `_total`. Quotes are escaped in help texts too.
    const described = isCounter ? line.replace(/^(# \S+ \S+)_total /, '$1 ') : line
    return described.replaceAll('"', '\\"')
  })
}
