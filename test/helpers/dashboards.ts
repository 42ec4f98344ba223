import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = 'deploy/grafana'

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly datasource?: { readonly type: string; readonly uid: string }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[]
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
  readonly panels: readonly Panel[]
}

/** The dashboards that the repository delivers, by file name. */
export const deliveredDashboards = (): readonly (readonly [file: string, dashboard: Dashboard])[] =>
  readdirSync(FOLDER)
    .filter(file => file.endsWith('.json'))
    .map(file => [file, JSON.parse(readFileSync(join(FOLDER, file), 'utf8'))])

/** Each expression of a dashboard, with where it stands. The interval of Grafana is replaced by one. */
export const expressionsOf = ([file, { panels }]: readonly [string, Dashboard]): readonly {
  readonly where: string
  readonly expr: string
  readonly legend: string
}[] =>
  panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat = '' }) => ({
      where: `${file}: ${title}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
      legend: legendFormat
    }))
  )
