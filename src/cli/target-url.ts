import { UsageError } from './command.ts'

/** @throws UsageError when it is no http or https address, or holds a login */
export function readHttpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${text}: give an address that begins with http:// or https://`)
  }
  if (url.username !== '' || url.password !== '') throw new UsageError('give the address without a login')
  return url
}

/** This machine, by what is written: no name is looked up. */
export const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
