import { writeFileSync } from 'node:fs'
import { ConfigError } from '../../errors.ts'
import type { Environment } from '../../settings/environment.ts'
import {
  type AcceptedLeak,
  formatBaseline,
  readBaseline,
  readBaselineIfExists,
  triageFindings
} from '../../tools/leaks/baseline.ts'
import { configuredSecrets } from '../../tools/leaks/configured-secrets.ts'
import { createDetector, redactKnown } from '../../tools/leaks/detector.ts'
import { searchEventLog } from '../../tools/leaks/event-log.ts'
import { collectFindings, type Finding, type Search } from '../../tools/leaks/finding.ts'
import { openGit } from '../../tools/leaks/git.ts'
import { commitDates } from '../../tools/leaks/git-history.ts'
import { toSarif } from '../../tools/leaks/sarif.ts'
import { searchFile, searchPath, searchStaged } from '../../tools/leaks/search.ts'
import { version } from '../../version.ts'
import { type Command, EXIT, type ExitCode, UsageError } from '../command.ts'
import { type OpenLog, openLog, UnreachableRedis } from '../open-log.ts'
import { createProgressBar } from '../progress-bar.ts'
import { terminalSafe } from '../terminal.ts'
import { type LeaksOptions, leaksUsage, readLeaksOptions } from './options.ts'
import { type Report, toJson, toText } from './report.ts'

export const leaksCommand: Command = {
  summary: 'find leaked credentials in files, git history, logs and the event log',
  usage: leaksUsage,
  run: async (args, env) => {
    const options = readLeaksOptions(args)
    const bar = createProgressBar(process.stderr)
    try {
      return await leaks(options, env, bar.show, bar.clear)
    } finally {
      bar.clear()
    }
  }
}

async function leaks(
  options: LeaksOptions,
  env: Environment,
  onProgress: Search['onProgress'],
  onProgressEnd: () => void
): Promise<ExitCode> {
  const { secrets, tooShort } = await configuredSecrets(env)
  const detector = createDetector(secrets)
  const redact = (text: string): string => redactKnown(detector, text)
  const problems: string[] = []
  const notes: string[] = tooShort.map(name => `${name} is too short to search for`)
  if (secrets.length === 0) notes.push('no secret is configured here: only searching for keys by their shape')
  const findings = collectFindings(redact)
  const search: Search = {
    detector,
    findings,
    onProgress,
    onProblem: text => problems.push(redact(text)),
    onNote: text => notes.push(redact(text))
  }

  const searched: string[] = []
  for (const step of steps(search, options, env)) {
    try {
      searched.push(redact(await step()))
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UsageError) throw error
      problems.push(redact(error instanceof Error ? error.message : String(error)))
    }
  }
  const { path, format } = options
  const commits = findings.commits()
  const dates =
    path === undefined ? new Map<string, string>() : await commitDates(openGit(path, env), commits)
  const found = findings.list(dates)
  onProgressEnd()

  if (options.writesBaseline && problems.length > 0) {
    notes.push('the baseline was not written: not everything could be searched')
  }
  const triage = triageFindings(found, applyBaseline(options, found, problems.length === 0))
  const report: Report = {
    ...triage,
    stale: isWhole(options) ? triage.stale : [],
    searched,
    problems,
    notes,
    secrets: secrets.map(({ name }) => name)
  }

  if (format === 'human') {
    for (const note of notes) process.stderr.write(`note: ${terminalSafe(note)}\n`)
    process.stdout.write(toText(report))
  } else {
    const json =
      format === 'json' ? toJson(report) : toSarif(report.fresh, report.accepted, version, problems)
    process.stdout.write(`${JSON.stringify(json, null, 2)}\n`)
    for (const problem of problems) process.stderr.write(`${terminalSafe(problem)}\n`)
  }
  if (problems.length > 0) return EXIT.error
  return report.fresh.length > 0 ? EXIT.findings : EXIT.ok
}

/** Otherwise a part of the repository was searched: entries of the baseline for the rest are not stale. */
const isWhole = ({ staged, path }: LeaksOptions): boolean => !staged && path !== undefined

/** Writes the baseline if that was asked for. @returns the accepted entries */
function applyBaseline(
  options: LeaksOptions,
  found: readonly Finding[],
  mayWrite: boolean
): readonly AcceptedLeak[] {
  const { baseline, writesBaseline } = options
  if (baseline === undefined) return []
  if (!writesBaseline) return readBaseline(baseline)
  const previous = readBaselineIfExists(baseline)
  if (!mayWrite) return previous
  writeFileSync(baseline, formatBaseline(found, previous, isWhole(options)))
  return readBaseline(baseline)
}

function steps(search: Search, options: LeaksOptions, env: Environment): (() => Promise<string>)[] {
  const { path, staged, files, stream, ignored, incomplete } = options
  const all: (() => Promise<string>)[] = files.map(file => () => searchFile(search, file))
  if (stream) all.push(() => searchStream(search, env))
  if (path === undefined) return all
  if (staged) all.push(() => searchStaged(search, path, env))
  else all.push(() => searchPath(search, path, { env, ignored, incomplete }))
  return all
}

async function searchStream(search: Search, env: Environment): Promise<string> {
  let log: OpenLog | undefined
  try {
    log = await openLog(env)
    return await searchEventLog(search, { redis: log.redis, ...log.config.log })
  } catch (cause) {
    if (cause instanceof ConfigError && !(cause instanceof UnreachableRedis)) throw cause
    const reason = cause instanceof Error ? cause.message : 'no answer'
    throw new Error(`the event log can't be read: ${reason}`, { cause })
  } finally {
    log?.close()
  }
}
