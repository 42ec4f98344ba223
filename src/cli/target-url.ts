// Tested by test/cli/doctor/command.slow.test.ts.
import { UsageError } from './command.ts'

/** @throws UsageError if it is not an http or https URL, or contains a user name or password */
export function readHttpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${text}: give a URL that begins with http:// or https://`)
  }
  if (url.username !== '' || url.password !== '')
    throw new UsageError('give the URL without user name and password')
  return url
}
