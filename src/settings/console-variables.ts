// Tested by test/settings/console.test.ts and test/settings/config.test.ts.
import { accessSecret, httpUrl, integer, listOf, type Parser, text } from './parse.ts'
import { optional, secret, setting, type Variable } from './variable.ts'

/** The links of the console begin at the root of its host: behind a path, none of them would work. */
const rootUrl: Parser<string> = {
  allowed: `${httpUrl.allowed} without a path`,
  parse: value => {
    const url = httpUrl.parse(value)
    return url !== undefined && /^\w+:\/\/[^/?#@]+$/.test(url) ? url : undefined
  }
}

/** The variables of the console. */
export const consoleVariables = {
  CONSOLE_PORT: optional(
    integer(0, 65535),
    'TCP port of the console, the web pages for operators (docs/console.md); default 3100 in development, else the console is off'
  ),
  CONSOLE_HOST: setting(
    text('an address or host name', /^[\w.:-]+$/),
    '127.0.0.1',
    'Address the console listens on; in a container `0.0.0.0`'
  ),
  CONSOLE_URL: optional(
    rootUrl,
    'Address of the console in a browser, such as `https://console.example.com`; requests to another host name are refused, except `localhost` and IP addresses'
  ),
  CONSOLE_PASSWORD: secret(accessSecret, 'Password of the console for the role operator'),
  CONSOLE_VIEWER_PASSWORD: secret(
    accessSecret,
    'Password of the console for the role viewer, which can change nothing'
  ),
  CONSOLE_IDENTITY_HEADER: optional(
    text('the name of a header', /^[\w-]{1,64}$/),
    'Header in which a proxy of `TRUSTED_PROXIES` names the person, such as `x-forwarded-email`; instead of a password'
  ),
  CONSOLE_OPERATORS: optional(
    listOf(text('an identity', /^[^\s,]{1,254}$/)),
    'Identities of that header with the role operator; everybody else is a viewer'
  ),
  CONSOLE_API_TOKEN: secret(
    accessSecret,
    'Bearer token of the API of the console, `/api/v1`, with the role operator'
  )
} as const satisfies Record<string, Variable<unknown>>
