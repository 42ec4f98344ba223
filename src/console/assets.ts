// Tested by test/console/access.test.ts.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { FastifyInstance } from 'fastify'

const { resolve } = createRequire(import.meta.url)
const own = (name: string): string => new URL(`assets/${name}`, import.meta.url).pathname

const JAVASCRIPT = 'text/javascript; charset=utf-8'
const CSS = 'text/css; charset=utf-8'

/** Ours, and those of npm packages: no content delivery network. */
const files = {
  'console.css': [own('console.css'), CSS],
  'mark.svg': [own('mark.svg'), 'image/svg+xml'],
  'htmx.js': [resolve('htmx.org/dist/htmx.min.js'), JAVASCRIPT],
  'htmx-sse.js': [resolve('htmx.org/dist/ext/hx-sse.min.js'), JAVASCRIPT],
  'uplot.css': [resolve('uplot/dist/uPlot.min.css'), CSS],
  'uplot.js': [resolve('uplot/dist/uPlot.iife.min.js'), JAVASCRIPT],
  'chart.js': [own('chart.js'), JAVASCRIPT]
} as const

export type AssetName = keyof typeof files

const assets = new Map(
  Object.entries(files).map(([name, [path, type]]) => {
    const content = readFileSync(path)
    const version = createHash('sha256').update(content).digest('hex').slice(0, 12)
    return [name, { content, type, path: `/assets/${version}/${name}` }]
  })
)

/** The address of an asset. It contains a hash of the content, so browsers may keep it for good. */
export const assetPath = (name: AssetName): string => assets.get(name)?.path ?? ''

/** Serves them from memory: some 100 kB. */
export function assetRoutes(app: FastifyInstance): void {
  for (const { content, type, path } of assets.values()) {
    app.get(path, { config: { access: 'public' } }, (_request, reply) =>
      reply.header('cache-control', 'public, max-age=31536000, immutable').type(type).send(content)
    )
  }
}
