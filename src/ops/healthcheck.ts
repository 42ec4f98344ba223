// The container's health check: requests /healthz of the service in the same container, and exits with 0 or 1.
import { get } from 'node:http'
import { variables } from '../settings/variables.ts'

/** Below Docker's timeout for the check (Dockerfile), so that it can print the reason before it is killed. */
const TIMEOUT_MS = 2000

const setting = (name: 'PORT' | 'HOST'): string => process.env[name] ?? variables[name].fallback
const host = setting('HOST')

const request = get(
  {
    // A service that listens on all addresses also listens on this one.
    host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host,
    port: setting('PORT'),
    path: '/healthz',
    agent: false,
    signal: AbortSignal.timeout(TIMEOUT_MS)
  },
  response => end(response.statusCode === 200 ? undefined : `/healthz answers ${response.statusCode}`)
)
request.once('error', error =>
  end(error.name === 'AbortError' ? `no response within ${TIMEOUT_MS} ms` : error.message)
)

function end(problem: string | undefined): void {
  if (problem !== undefined) process.stderr.write(`${problem}\n`)
  process.exit(problem === undefined ? 0 : 1)
}
