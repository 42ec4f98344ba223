import { readFileSync, writeFileSync } from 'node:fs'
import { ConfigError, errorCode } from '../../errors.ts'
import { loadSettings, NO_SIGNING_KEY } from '../../settings/config.ts'
import { integer } from '../../settings/parse.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import { toJunit } from '../../tools/doctor/junit.ts'
import {
  allChecks,
  type Report,
  runChecks,
  selectChecks,
  UnreachableError,
  type Verdict,
  verdictOf
} from '../../tools/doctor/run-checks.ts'
import { type Command, EXIT, type ExitCode, parseCommandLine, readOption, UsageError } from '../command.ts'
import { createProgressBar } from '../progress-bar.ts'
import { readHttpUrl } from '../target-url.ts'
import { terminalStyle } from '../terminal.ts'
import { planJson, planText, toJson, toText } from './report.ts'

const MAX_BURST = 200

export const doctorCommand: Command = {
  summary: 'check an endpoint as an attacker and an unreliable sender would',
  usage: `usage: cio-webhook doctor URL [options]

Sends forged, changed, old, repeated, oversized and malformed deliveries to a webhook endpoint of yours, and reports
each fault with the reason why it matters and a remedy. The signing key comes from CIO_WEBHOOK_SECRET or
CIO_WEBHOOK_SECRET_FILE, never from the command line; outside production also from the key that "serve" created in
DATA_DIR.

Only what --plan shows is sent. Every event is marked: its type in the event log is io.customer.doctor, so that
consumers can drop it. A run ends within 60 seconds, and its report begins with the root cause.

  --plan            show what would be sent, and send nothing
  --read-only       send nothing that a correct endpoint accepts; needs no key
  --skip ID[,ID]    leave out these checks
  --burst N         send the event of the burst N times (default 20)
  --source NAME     use the key of this source in CIO_SOURCES_FILE
  --ca FILE         trust this certificate authority too (PEM)

  --json            print the report as JSON
  --junit FILE      also write the report as JUnit XML

Exit code: 0 no check failed, 1 at least one check failed, 2 could not check (no key, no connection, or your address
is not allowed to deliver).`,
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
    const selection = {
      readOnly,
      skip: readSkip(values.skip),
      burst: readOption('--burst', integer(2, MAX_BURST), values.burst)
    }
    const style = terminalStyle(process.stdout, env)
    if (values.plan) {
      const checks = selectChecks(selection)
      print(values.json ? planJson(checks, url) : planText(checks, url, style))
      return EXIT.ok
    }
    const { findSigningKey, secrets } = await loadSettings(env, ['findSigningKey'])
    const key = await findSigningKey(values.source)
    secrets.close()
    if (key === undefined && !readOnly) throw new ConfigError(`${NO_SIGNING_KEY}; or use --read-only`)
    const ca = values.ca === undefined ? {} : { ca: readPem(values.ca) }
    const report = await runWithProgress({ url, key, now: Date.now, ...ca }, selection)
    if (values.junit !== undefined) writeReport(values.junit, toJunit(report))
    print(values.json ? toJson(report) : toText(report, style))
    return exitCodes[verdictOf(report)]
  }
}

const exitCodes: Readonly<Record<Verdict, ExitCode>> = {
  pass: EXIT.ok,
  fail: EXIT.findings,
  skip: EXIT.error
}

async function runWithProgress(...[options, selection]: Parameters<typeof runChecks>): Promise<Report> {
  const bar = createProgressBar(process.stderr)
  try {
    return await runChecks(options, selection, (result, done, count) =>
      bar.show(result.check.id, done / count)
    )
  } catch (error) {
    if (error instanceof UnreachableError) throw new UsageError(error.message)
    throw error
  } finally {
    bar.clear()
  }
}

const print = (output: object | string): boolean =>
  process.stdout.write(typeof output === 'string' ? output : `${JSON.stringify(output, null, 2)}\n`)

function readSkip(lists: readonly string[]): readonly string[] {
  const ids = lists.flatMap(list => list.split(','))
  const known = new Set(allChecks().map(({ id }) => id))
  const unknown = ids.find(id => !known.has(id))
  if (unknown !== undefined) throw new UsageError(`--skip ${unknown}: unknown check; --plan lists all`)
  if (ids.includes('authentic')) throw new UsageError('--skip authentic: every other check depends on it')
  return ids
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--ca ${path}: cannot read the file (${errorCode(error)})`)
  }
}

function writeReport(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new UsageError(`--junit ${path}: cannot write the file (${errorCode(error)})`)
  }
}
