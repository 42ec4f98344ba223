#!/usr/bin/env node
// Before all else: libraries read DEBUG when they are loaded.
import './serve/debug-variables.ts'

import { ConfigError } from '../errors.ts'
import { describeError } from '../ops/logger.ts'
import { handleBrokenOutput } from './broken-output.ts'
import { type Command, EXIT, type ExitCode, UsageError } from './command.ts'
import { IGNORED_DEBUG, ignoredVariables, refusedDebug } from './serve/debug-variables.ts'

/** Each is loaded when it is called for: the service must not carry what only the others need. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve/command.ts')).serveCommand,
  send: async () => (await import('./send/command.ts')).sendCommand,
  doctor: async () => (await import('./doctor/command.ts')).doctorCommand,
  leaks: async () => (await import('./leaks/command.ts')).leaksCommand,
  rotate: async () => (await import('./rotate/command.ts')).rotateCommand,
  events: async () => (await import('./events/command.ts')).eventsCommand,
  consumers: async () => (await import('./consumers/command.ts')).consumersCommand
}

const exitCode = await run(process.argv.slice(2))
if (exitCode !== undefined) process.exitCode = exitCode

async function run([name, ...args]: readonly string[]): Promise<ExitCode | undefined> {
  handleBrokenOutput(name ?? '')
  if (refusedDebug !== undefined) {
    process.stderr.write(`cio-webhook: ${refusedDebug}\n`)
    return EXIT.couldNotRun
  }
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    const asked = name === '--help' || name === 'help'
    if (name !== undefined && !asked) {
      process.stderr.write(`cio-webhook: unknown command ${JSON.stringify(name)}\n\n`)
    }
    process[asked ? 'stdout' : 'stderr'].write(await overview())
    return asked ? EXIT.good : EXIT.couldNotRun
  }
  const command = await load()
  if (args.includes('--help')) {
    process.stdout.write(`${command.usage}\n`)
    return EXIT.good
  }
  // The service says it in its log.
  if (ignoredVariables.length > 0 && name !== 'serve') {
    process.stderr.write(`cio-webhook: ${IGNORED_DEBUG}\n`)
  }
  try {
    return await command.run(args, process.env)
  } catch (error) {
    // An error nobody foresaw is told without what it may carry: Node would print a Redis command's arguments.
    const known = error instanceof ConfigError || error instanceof UsageError
    const told = known ? error.message : `an error nobody foresaw: ${JSON.stringify(describeError(error))}`
    // What the command had opened by then must not keep the process: a supervisor would wait for its end.
    process.stderr.write(`cio-webhook ${name}: ${told}\n`, () => process.exit(EXIT.couldNotRun))
    return EXIT.couldNotRun
  }
}

async function overview(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(10)} ${(await load()).summary}`)
  )
  return `usage: cio-webhook <command> [options]\n\n${lines.join('\n')}\n\ncio-webhook <command> --help tells more.\n`
}
