// Tested by test/settings/config.test.ts
import type { Parser } from './parse.ts'

/** One environment variable: how it is read, its default, and its description in the documents. */
export interface Variable<T> extends Parser<T> {
  /** The text that is parsed when the variable is unset; `undefined`: there is no value then. */
  readonly fallback: string | undefined
  readonly help: string
  /** A secret is never shown. It can also be given as `<NAME>_FILE`, the path of a mounted file. */
  readonly secret: boolean
}

export type Mandatory<T> = Variable<T> & { readonly fallback: string; readonly secret: false }
export type Optional<T> = Variable<T> & { readonly fallback: undefined; readonly secret: false }
export type SecretText = Variable<string> & { readonly fallback: undefined; readonly secret: true }

export const setting = <T>(parser: Parser<T>, fallback: string, help: string): Mandatory<T> => {
  return { ...parser, fallback, help, secret: false }
}
export const optional = <T>(parser: Parser<T>, help: string): Optional<T> => {
  return { ...parser, fallback: undefined, help, secret: false }
}
export const secret = (parser: Parser<string>, help: string): SecretText => {
  return { ...parser, fallback: undefined, help, secret: true }
}
