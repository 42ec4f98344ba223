import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { ConfigError } from '../../errors.ts'
import type { Environment } from '../../settings/environment.ts'
import {
  formatBaseline,
  judgeFindings,
  readBaseline,
  readBaselineIfThere
} from '../../tools/leaks/baseline.ts'
import { configuredSecrets } from '../../tools/leaks/configured-secrets.ts'
import { censor, createDetector } from '../../tools/leaks/detector.ts'
import { searchEventLog } from '../../tools/leaks/event-log.ts'
import { collectFindings } from '../../tools/leaks/finding.ts'
import { openGit } from '../../tools/leaks/git.ts'
import { commitDates } from '../../tools/leaks/git-history.ts'
import { toSarif } from '../../tools/leaks/sarif.ts'
import { type Search, searchFile, searchPath, searchStaged } from '../../tools/leaks/search.ts'
import { type Command, EXIT, type ExitCode, UsageError } from '../command.ts'
import { openLog } from '../open-log.ts'
import { createProgressBar } from '../progress-bar.ts'
import { type LeaksOptions, leaksUsage, readLeaksOptions } from './options.ts'
import { type Report, toJson, toText } from './report.ts'

export const leaksCommand: Command = {
  summary: 'look for leaked credentials in files, history, logs and the event log',
  usage: leaksUsage,
  run: async (args, env) => {
    const options = readLeaksOptions(args)
    const bar = createProgressBar(process.stderr)
    try {
      return await leaks(options, env, bar.show, bar.clear)
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UsageError) throw error
      // An error that nobody caught would end the process with 1, and 1 means that something was found.
      process.stderr.write(`cio-webhook leaks: ${error instanceof Error ? error.message : String(error)}\n`)
      return EXIT.couldNotRun
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
  const shown = (text: string): string => censor(detector, text)
  const problems: string[] = []
  const notes: string[] = tooShort.map(name => `${name} is too short to be looked for`)
  if (secrets.length === 0) notes.push('no secret is configured here: only shapes of keys are looked for')
  const findings = collectFindings(shown)
  const search: Search = {
    detector,
    findings,
    onProgress,
    onProblem: text => problems.push(shown(text)),
    onNote: text => notes.push(shown(text))
  }

  const searched: string[] = []
  for (const step of steps(search, options, env)) {
    try {
      searched.push(shown(await step()))
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UsageError) throw error
      problems.push(shown(error instanceof Error ? error.message : String(error)))
    }
  }
  const { baseline, path, format, writesBaseline } = options
  const commits = findings.commits()
  const dates =
    path === undefined ? new Map<string, string>() : await commitDates(openGit(path, env), commits)
  const found = findings.list(dates)
  onProgressEnd()

  const previous =
    baseline === undefined ? [] : writesBaseline ? readBaselineIfThere(baseline) : readBaseline(baseline)
  if (writesBaseline && problems.length > 0) notes.push('the baseline was not written')
  if (writesBaseline && baseline !== undefined && problems.length === 0) {
    writeFileSync(baseline, formatBaseline(found, previous))
  }
  const judged = judgeFindings(
    found,
    writesBaseline && baseline !== undefined ? readBaselineIfThere(baseline) : previous
  )
  // What is staged, or a log, is a part: an entry for the rest is not stale.
  const stale = options.staged || path === undefined ? [] : judged.stale
  const report: Report = {
    ...judged,
    stale,
    searched,
    problems,
    notes,
    secrets: secrets.map(({ name }) => name)
  }

  if (format === 'human') {
    for (const note of notes) process.stderr.write(`note: ${note}\n`)
    process.stdout.write(toText(report))
  } else {
    const json =
      format === 'json' ? toJson(report) : toSarif(report.fresh, report.accepted, version(), problems)
    process.stdout.write(`${JSON.stringify(json, null, 2)}\n`)
    for (const problem of problems) process.stderr.write(`${problem}\n`)
  }
  if (problems.length > 0) return EXIT.couldNotRun
  return report.fresh.length > 0 ? EXIT.foundSomething : EXIT.good
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
  const { config, redis, close } = await openLog(env)
  try {
    return await searchEventLog(search, { redis, ...config.log })
  } catch (cause) {
    throw new Error(`the event log can't be read: ${cause instanceof Error ? cause.message : cause}`, {
      cause
    })
  } finally {
    close()
  }
}

function version(): string {
  const { version } = JSON.parse(readFileSync(packageFile(), 'utf8')) as { version: string }
  return version
}

/** Beside `dist` or above `build`, whichever this was compiled into. */
function packageFile(): URL {
  const places = ['../../package.json', '../../../package.json'].map(place => new URL(place, import.meta.url))
  return places.find(place => existsSync(place)) ?? new URL('../../../package.json', import.meta.url)
}
