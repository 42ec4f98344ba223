import { errorCode } from '../errors.ts'
import { EXIT } from './command.ts'

/**
 * What happens when nobody can read what a process prints. Without a listener each of these would be an uncaught
 * error with a stack trace.
 *
 * A command ends when its standard output fails: quietly where the reader has gone (`| head`), else with one line. The
 * service goes on, and so does a command that has lost its standard error only.
 */
export function handleBrokenOutput(command: string): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', error => {
    if (command === 'serve') return
    const code = errorCode(error)
    if (code !== 'EPIPE') process.stderr.write(`cio-webhook ${command}: standard output: ${code ?? error}\n`)
    process.exit(EXIT.couldNotRun)
  })
}
