import { readFileSync, writeFileSync } from 'node:fs'
import { ConfigError, errorCode } from '../../errors.ts'
import { loadSettings, NO_SIGNING_KEY } from '../../settings/config.ts'
import type { Environment } from '../../settings/environment.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import { toJunit } from '../../tools/doctor/junit.ts'
import {
  allChecks,
  type Examination,
  examine,
  selectChecks,
  UnreachableError
} from '../../tools/doctor/run-checks.ts'
import { type Verdict, verdictOf } from '../../tools/doctor/verdict.ts'
import { type Command, EXIT, type ExitCode, parseCommandLine, UsageError } from '../command.ts'
import { createProgressBar } from '../progress-bar.ts'
import { readHttpUrl } from '../target-url.ts'
import { type Look, planJson, planText, toJson, toText } from './report.ts'

const MAX_BURST = 200

export const doctorCommand: Command = {
  summary: 'examine an endpoint as an outsider and a flaky sender would',
  usage: `usage: cio-webhook doctor URL [options]

Attacks a webhook endpoint of yours with forged, changed, old, repeated, oversized and odd deliveries, and says in
plain words what is wrong, why it matters, and how to mend it. The signing key comes from CIO_WEBHOOK_SECRET or
CIO_WEBHOOK_SECRET_FILE, never from the command line; outside production from what "serve" has made in DATA_DIR.

What is sent is what --plan shows. Every event is marked: its type in the event log is io.customer.doctor, so
that consumers can drop it. It ends within 60 seconds, and reports the root cause first.

  --plan            show what would be sent, and send nothing
  --read-only       send nothing that a sound receiver accepts; needs no key
  --skip ID[,ID]    leave checks out, by their id
  --burst N         how often the burst sends one event at the same moment (default 20)
  --source NAME     the key of this source of CIO_SOURCES_FILE
  --ca FILE         a certificate authority of your own, as PEM

  --json            the report as JSON
  --junit FILE      also write the report as JUnit XML

Exit code: 0 nothing is wrong, 1 something is, 2 could not be examined (no key, no connection), or could not be
judged since your address is not allowed to deliver.`,
  run: async (args, env) => {
    const { values, positionals } = parseCommandLine({
      args: [...args],
      allowPositionals: true,
      options: {
        plan: { type: 'boolean', default: false },
        'read-only': { type: 'boolean', default: false },
        skip: { type: 'string', multiple: true, default: [] },
        burst: { type: 'string', default: '20' },
        source: { type: 'string', default: DEFAULT_SOURCE },
        ca: { type: 'string' },
        json: { type: 'boolean', default: false },
        junit: { type: 'string' }
      }
    })
    const [target, ...more] = positionals
    if (target === undefined || more.length > 0) throw new UsageError('give the URL of the endpoint')
    const url = readHttpUrl(target)
    const readOnly = values['read-only']
    const selection = { readOnly, skip: readSkip(values.skip), burst: readBurst(values.burst) }
    if (values.plan) {
      const checks = selectChecks(selection)
      process.stdout.write(
        values.json ? `${JSON.stringify(planJson(checks, url), null, 2)}\n` : planText(checks, url, look(env))
      )
      return EXIT.good
    }
    const { findSigningKey, secrets } = await loadSettings(env, ['findSigningKey'])
    const key = await findSigningKey(values.source)
    secrets.close()
    if (key === undefined && !readOnly)
      throw new ConfigError(`${NO_SIGNING_KEY}; or examine with --read-only`)
    const ca = values.ca === undefined ? {} : { ca: readPem(values.ca) }
    const examination = await watch(bar =>
      examine({ url, key, now: Date.now, ...ca }, selection, (result, done, count) =>
        bar.show(result.check.id, done / count)
      )
    )
    return report(examination, values, look(env))
  }
}

async function watch(
  run: (bar: ReturnType<typeof createProgressBar>) => Promise<Examination>
): Promise<Examination> {
  const bar = createProgressBar(process.stderr)
  try {
    return await run(bar)
  } catch (error) {
    if (error instanceof UnreachableError) throw new UsageError(error.message)
    throw error
  } finally {
    bar.clear()
  }
}

function report(
  examination: Examination,
  options: { json: boolean; junit?: string | undefined },
  style: Look
): ExitCode {
  if (options.junit !== undefined) writeReport(options.junit, toJunit(examination))
  process.stdout.write(
    options.json ? `${JSON.stringify(toJson(examination), null, 2)}\n` : toText(examination, style)
  )
  return exits[verdictOf(examination)]
}

const exits = {
  well: EXIT.good,
  wrong: EXIT.foundSomething,
  unjudged: EXIT.couldNotRun
} as const satisfies Readonly<Record<Verdict, ExitCode>>

const look = (env: Environment): Look => ({
  colour: process.stdout.isTTY === true && env['NO_COLOR'] === undefined,
  width: process.stdout.columns ?? 100
})

function readSkip(given: readonly string[]): readonly string[] {
  const ids = given.flatMap(list => list.split(','))
  const known = new Set(allChecks().map(({ id }) => id))
  const unknown = ids.find(id => !known.has(id))
  if (unknown !== undefined)
    throw new UsageError(`--skip ${unknown}: there is no such check, --plan shows all`)
  if (ids.includes('authentic')) throw new UsageError('--skip authentic: every other check depends on it')
  return ids
}

function readBurst(text: string): number {
  const value = Number(text)
  if (!/^\d{1,3}$/.test(text) || value < 2 || value > MAX_BURST) {
    throw new UsageError(`--burst ${text}: give a whole number from 2 to ${MAX_BURST}`)
  }
  return value
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--ca ${path}: the file can't be read (${errorCode(error) ?? 'unknown'})`)
  }
}

function writeReport(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new UsageError(`--junit ${path}: the file can't be written (${errorCode(error) ?? 'unknown'})`)
  }
}
