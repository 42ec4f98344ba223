// Tested by test/console/access.test.ts.
/** An answer other than the page that was asked for. Its words are shown to the person. */
export class ConsoleError extends Error {
  override readonly name = 'ConsoleError'
  readonly status: number
  readonly title: string

  /** @param text what to do, in one or two sentences; without secrets and payloads */
  constructor(status: number, title: string, text: string) {
    super(text)
    this.status = status
    this.title = title
  }
}
