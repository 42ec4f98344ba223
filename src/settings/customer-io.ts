// Tested by test/settings/config.test.ts
import type { Reader } from './read-variables.ts'

const DAY_MS = 24 * 60 * 60 * 1000

export const readCustomerIo = (reader: Reader) => ({
  region: reader.value('CIO_REGION'),
  trackUrl: reader.value('CIO_TRACK_URL'),
  appUrl: reader.value('CIO_APP_URL')
})

export const readReconcile = (reader: Reader) => ({
  /** How long the message index remembers a metric, at least. */
  indexMs: reader.value('RECONCILE_DAYS') * DAY_MS,
  mode: reader.value('RECONCILE')
})
