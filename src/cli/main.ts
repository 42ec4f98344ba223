#!/usr/bin/env node
import { ConfigError } from '../errors.ts'
import { type Command, EXIT, type ExitCode, UsageError } from './command.ts'
import { consumersCommand } from './consumers.ts'
import { eventsCommand } from './events.ts'
import { serveCommand } from './serve.ts'

const commands: Readonly<Record<string, Command>> = {
  serve: serveCommand,
  events: eventsCommand,
  consumers: consumersCommand
}

const exitCode = await run(process.argv.slice(2))
if (exitCode !== undefined) process.exitCode = exitCode

async function run([name, ...args]: readonly string[]): Promise<ExitCode | undefined> {
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    const asked = name === '--help' || name === 'help'
    process[asked ? 'stdout' : 'stderr'].write(overview())
    return asked ? EXIT.good : EXIT.couldNotRun
  }
  if (args.includes('--help')) {
    process.stdout.write(`${command.usage}\n`)
    return EXIT.good
  }
  try {
    return await command.run(args)
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof UsageError)) throw error
    process.stderr.write(`cio-webhook ${name}: ${error.message}\n`)
    return EXIT.couldNotRun
  }
}

function overview(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`)
  return `usage: cio-webhook <command> [options]\n\n${lines.join('\n')}\n\ncio-webhook <command> --help tells more.\n`
}
