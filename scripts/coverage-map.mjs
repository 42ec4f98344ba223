import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const service = readdirSync('build/src', { recursive: true })
  .filter(name => name.endsWith('.js'))
  .map(name => join('build/src', name))

/** For tap: every test counts towards the coverage of all files of the service, and of no other file. */
export default () => service
