import { samplesOf } from './alerts.ts'

/** Label → its values. */
export type LabelValues = ReadonlyMap<string, ReadonlySet<string>>

interface Selector {
  readonly metric: string
  readonly matchers: readonly (readonly [label: string, operator: string, value: string])[]
}

const KEYWORDS = new Set(['and', 'or', 'unless', 'offset', 'bool', 'by', 'on', 'group_left', 'group_right'])
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g

/** The metrics that an expression reads. A name that is neither a function nor a keyword is taken for a metric. */
export function selectorsOf(expr: string): readonly Selector[] {
  const text = expr.replace(GROUPING, ' ')
  const names = /"[^"]*"|\[[^\]]*\]|\{[^}]*\}|(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?/g
  return [...text.matchAll(names)].flatMap(([, metric, next]) =>
    metric === undefined || next === '(' || KEYWORDS.has(metric)
      ? []
      : [{ metric, matchers: matchersOf(next) }]
  )
}

const matchersOf = (braces = ''): Selector['matchers'] =>
  [...braces.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
    ([, label = '', operator = '', value = '']) => [label, operator, value]
  )

/** The labels by which an expression groups or joins. */
export const groupingLabelsOf = (expr: string): readonly string[] =>
  [...expr.matchAll(GROUPING)]
    .flatMap(([, labels = '']) => labels.split(','))
    .map(label => label.trim())
    .filter(label => label !== '')

/** The series of a scrape: metric → its labels and their values. */
export function seriesOfScrape(scrape: string): ReadonlyMap<string, LabelValues> {
  const metrics = new Map<string, Map<string, Set<string>>>()
  for (const sample of samplesOf(scrape).keys()) {
    const [, metric = '', braces = ''] = /^([\w:]+)(.*)$/.exec(sample) ?? []
    const labels = metrics.get(metric) ?? new Map<string, Set<string>>()
    metrics.set(metric, labels)
    for (const [label, , value] of matchersOf(braces)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value))
    }
  }
  return metrics
}
