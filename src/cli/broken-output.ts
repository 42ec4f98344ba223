// Tested by test/cli/output.slow.test.ts.
import { errorCode } from '../errors.ts'
import { EXIT } from './command.ts'

/**
 * Handles write errors of standard output and standard error. Without a listener, each would be an uncaught error.
 *
 * A command ends if its standard output fails: quietly if the reader has ended (`| head`), else with one line. The
 * service continues, and so does a command that only lost its standard error.
 */
export function handleBrokenOutput(command: string): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', error => {
    if (command === 'serve') return
    const code = errorCode(error)
    if (code !== 'EPIPE') {
      process.stderr.write(`cio-webhook ${command}: cannot write to standard output: ${code ?? error.name}\n`)
    }
    process.exit(EXIT.error)
  })
}
