// The container's health check: asks the service beside it for /healthz, and ends with 0 or 1.
import { get } from 'node:http'
import { variables } from '../settings/variables.ts'

/** Below the health check's own timeout (Dockerfile), so that we say what is wrong instead of being killed. */
const TIMEOUT_MS = 2000

const setting = (name: 'PORT' | 'HOST'): string => process.env[name] ?? variables[name].fallback
const host = setting('HOST')

const request = get(
  {
    // A service that listens everywhere also listens here.
    host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host,
    port: setting('PORT'),
    path: '/healthz',
    agent: false,
    signal: AbortSignal.timeout(TIMEOUT_MS)
  },
  response => end(response.statusCode === 200 ? undefined : `/healthz answers ${response.statusCode}`)
)
request.once('error', error => end(error.name === 'AbortError' ? 'no answer in time' : error.message))

function end(problem: string | undefined): void {
  if (problem !== undefined) process.stderr.write(`${problem}\n`)
  process.exit(problem === undefined ? 0 : 1)
}
