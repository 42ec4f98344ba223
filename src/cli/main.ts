// Must be the first import: libraries read DEBUG when they are loaded.
import './serve/debug-variables.ts'

import { version } from '../version.ts'
import { handleBrokenOutput } from './broken-output.ts'
import { type Command, EXIT, type ExitCode } from './command.ts'
import { describeFailure } from './failure.ts'
import { IGNORED_DEBUG, ignoredVariables, refusedDebug } from './serve/debug-variables.ts'

/** Loaded on demand: the service must not load what only other commands need. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve/command.ts')).serveCommand,
  status: async () => (await import('./status/command.ts')).statusCommand,
  connect: async () => (await import('./connect/command.ts')).connectCommand,
  send: async () => (await import('./send/command.ts')).sendCommand,
  doctor: async () => (await import('./doctor/command.ts')).doctorCommand,
  leaks: async () => (await import('./leaks/command.ts')).leaksCommand,
  rotate: async () => (await import('./rotate/command.ts')).rotateCommand,
  events: async () => (await import('./events/command.ts')).eventsCommand,
  hash: async () => (await import('./hash/command.ts')).hashCommand,
  reconcile: async () => (await import('./reconcile/command.ts')).reconcileCommand,
  consumers: async () => (await import('./consumers/command.ts')).consumersCommand
}

const exitCode = await run(process.argv.slice(2))
if (exitCode !== undefined) {
  process.exitCode = exitCode
  // Requests that the command gave up must not keep the process alive: it waits for its output only.
  process.stdout.write('', error => {
    // Otherwise the handler of broken output decides.
    if (!error) process.exit()
  })
}

async function run([first, ...rest]: readonly string[]): Promise<ExitCode | undefined> {
  const asksForHelp = first === 'help' || isHelp(first)
  const [name, ...args] = asksForHelp ? [...rest, '--help'] : [first, ...rest]
  handleBrokenOutput(name ?? '')
  if (refusedDebug !== undefined) {
    process.stderr.write(`cio-webhook: ${refusedDebug}\n`)
    return EXIT.error
  }
  if (name === '--version') {
    process.stdout.write(`${version}\n`)
    return EXIT.ok
  }
  if (name === undefined || isHelp(name)) {
    process[name === undefined ? 'stderr' : 'stdout'].write(await overview())
    return name === undefined ? EXIT.error : EXIT.ok
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    process.stderr.write(`cio-webhook: unknown command ${JSON.stringify(name)}\n\n${await overview()}`)
    return EXIT.error
  }
  const command = await load()
  if (args.some(isHelp)) {
    process.stdout.write(`${command.usage}\n`)
    return EXIT.ok
  }
  // Open connections of the failed command must not keep the process alive: a supervisor would wait for its end.
  const fail = async (error: unknown): Promise<void> => {
    const line = await describeFailure(error)
    process.stderr.write(`cio-webhook ${name}: ${line}\n`, () => process.exit(EXIT.error))
  }
  // The service handles both itself, with a log line.
  if (name !== 'serve') {
    process.on('uncaughtException', fail)
    if (ignoredVariables.length > 0) process.stderr.write(`cio-webhook: ${IGNORED_DEBUG}\n`)
  }
  try {
    return await command.run(args, process.env)
  } catch (error) {
    await fail(error)
    return EXIT.error
  }
}

function isHelp(argument: string | undefined): boolean {
  return argument === '--help' || argument === '-h'
}

async function overview(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(10)} ${(await load()).summary}`)
  )
  return `usage: cio-webhook <command> [options]

${lines.join('\n')}

Run cio-webhook help <command> for the options of a command, cio-webhook --version for the version.
`
}
