import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './server.ts'

export const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

/** Writes a CONSUMERS_FILE. @returns its path */
export function consumersFile(...consumers: readonly Record<string, unknown>[]): string {
  const path = join(temporaryFolder(), 'consumers.json')
  writeFileSync(path, JSON.stringify({ consumers }, undefined, 2))
  return path
}

export const httpConsumer = (name: string, url: string, changes: Record<string, unknown> = {}) => ({
  name,
  type: 'http',
  url,
  secret: WEBHOOK_SECRET,
  ...changes
})

export const natsConsumer = (name: string, url: string, changes: Record<string, unknown> = {}) => ({
  name,
  type: 'nats',
  servers: [url],
  stream: 'CIO',
  subjectPrefix: 'cio',
  ...changes
})
