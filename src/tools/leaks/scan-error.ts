/** Something could not be looked through. The message is one line for a person. */
export class ScanError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ScanError'
  }
}
