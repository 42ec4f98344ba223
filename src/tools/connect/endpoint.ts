import { DEFAULT_SOURCE } from '../../settings/sources.ts'

/**
 * The form in which endpoints are compared: host in lower case, no default port, no slash at the end of the path, no
 * fragment. The path is compared with its case.
 *
 * @returns `undefined` for text that is not a URL
 */
function normalEndpoint(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { protocol, host, pathname, search } = new URL(text)
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}${search}`
}

/** For messages and log lines: without user name, password and query, which can hold a secret of another program. */
export function shownEndpoint(text: string): string {
  if (!URL.canParse(text)) return 'a text that is not a URL'
  const { protocol, host, pathname } = new URL(text)
  return `${protocol}//${host}${pathname}`
}

/** @returns whether Customer.io posts to the same place with both */
export function isSameEndpoint(one: string, other: string): boolean {
  const normal = normalEndpoint(one)
  return normal !== undefined && normal === normalEndpoint(other)
}

/**
 * The source that deliveries to an endpoint belong to: the name after `/api/cio/webhook/`. A proxy can put another path
 * before it.
 *
 * @returns `undefined` if the path ends otherwise, because a proxy rewrites it
 */
export function sourceOfEndpoint(endpoint: string): string | undefined {
  const path = new URL(endpoint).pathname.replace(/\/+$/, '')
  const [, name] = /\/api\/cio\/webhook(?:\/([^/]+))?$/.exec(path) ?? [undefined, null]
  return name === null ? undefined : (name ?? DEFAULT_SOURCE)
}
