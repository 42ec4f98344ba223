import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { connectRedis, disconnectRedis } from '../../redis/connect.ts'
import { monitorRedis } from '../../redis/monitor.ts'
import { Secret } from '../../secret.ts'
import { loadConfig, readValues } from '../../settings/config.ts'
import type { RedisAddress } from '../../settings/redis-address.ts'
import { secretSettings } from '../../settings/secret-locations.ts'
import { connectProvider } from '../../settings/secrets/open-secrets.ts'
import { providedValues } from '../../settings/secrets/provided-values.ts'
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
import { collectFindings, type Search } from '../../tools/leaks/finding.ts'
import { openGit } from '../../tools/leaks/git.ts'
import { commitDates } from '../../tools/leaks/git-history.ts'
import { toSarif } from '../../tools/leaks/sarif.ts'
import { searchFile, searchPath, searchStaged } from '../../tools/leaks/search.ts'
import { version } from '../../version.ts'
import { type Command, EXIT, type ExitCode, UsageError } from '../command.ts'
import { createProgressBar } from '../progress-bar.ts'
import { type LeaksOptions, leaksUsage, readLeaksOptions } from './options.ts'
import { type Report, toJson, toText } from './report.ts'

const REDIS_CONTACT_MS = 5000

export const leaksCommand: Command = {
  summary: 'find leaked credentials in files, git history, logs and the event log',
  usage: leaksUsage,
  run: async args => {
    const options = readLeaksOptions(args)
    const bar = createProgressBar(process.stderr)
    try {
      return await leaks(options, bar.show, bar.clear)
    } finally {
      bar.clear()
    }
  }
}

async function leaks(
  options: LeaksOptions,
  onProgress: Search['onProgress'],
  onProgressEnd: () => void
): Promise<ExitCode> {
  const env = await withProvidedSecrets(process.env)
  const { secrets, tooShort } = configuredSecrets(env)
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
  const { baseline, path, format, writesBaseline } = options
  const commits = findings.commits()
  const dates =
    path === undefined ? new Map<string, string>() : await commitDates(openGit(path, process.env), commits)
  const found = findings.list(dates)
  onProgressEnd()

  let accepted: readonly AcceptedLeak[] = []
  if (baseline !== undefined) {
    accepted = writesBaseline ? readBaselineIfExists(baseline) : readBaseline(baseline)
    if (writesBaseline && problems.length > 0) {
      notes.push('the baseline was not written: not everything could be searched')
    } else if (writesBaseline) {
      writeFileSync(baseline, formatBaseline(found, accepted))
      accepted = readBaseline(baseline)
    }
  }
  const triage = triageFindings(found, accepted)
  const report: Report = {
    ...triage,
    // A part of the repository was searched: entries for the rest are not stale.
    stale: options.staged || path === undefined ? [] : triage.stale,
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
      format === 'json' ? toJson(report) : toSarif(report.fresh, report.accepted, version, problems)
    process.stdout.write(`${JSON.stringify(json, null, 2)}\n`)
    for (const problem of problems) process.stderr.write(`${problem}\n`)
  }
  if (problems.length > 0) return EXIT.error
  return report.fresh.length > 0 ? EXIT.findings : EXIT.ok
}

function steps(search: Search, options: LeaksOptions, env: NodeJS.ProcessEnv): (() => Promise<string>)[] {
  const { path, staged, files, stream, ignored, incomplete } = options
  const all: (() => Promise<string>)[] = files.map(file => () => searchFile(search, file))
  if (stream) all.push(() => searchStream(search, env))
  if (path === undefined) return all
  if (staged) all.push(() => searchStaged(search, path, process.env))
  else all.push(() => searchPath(search, path, { env: process.env, ignored, incomplete }))
  return all
}

/** The environment, and where the secrets lie in a provider, those as well. */
async function withProvidedSecrets(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  if ((env['SECRETS_PROVIDER'] ?? 'environment') === 'environment') return env
  const settings = secretSettings(readValues(env), env)
  const provider = await connectProvider(settings)
  try {
    return { ...env, ...(await providedValues(settings, provider)) }
  } finally {
    provider.close()
  }
}

async function searchStream(search: Search, env: NodeJS.ProcessEnv): Promise<string> {
  const config = loadConfig(env, {
    developmentKey: () => ({ key: 'none is made here', created: false })
  })
  const { keyPrefix, partitions } = config.log
  const redis = connectRedis(addressOf(config.redis, config.dataDir))
  // Its errors are told by the command that fails.
  redis.on('error', () => {})
  const monitor = monitorRedis({ redis })
  try {
    await monitor.waitUntilUp(REDIS_CONTACT_MS)
    return await searchEventLog(search, { redis, keyPrefix, partitions })
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    const why = cause instanceof Error ? cause.message : 'no answer'
    throw new Error(`the event log can't be read: Redis: ${why}`, { cause })
  } finally {
    monitor.stop()
    disconnectRedis(redis)
  }
}

/** The private Redis of a development start is there while that runs. */
function addressOf(redis: ReturnType<typeof loadConfig>['redis'], dataDir: string): RedisAddress {
  if (redis.kind !== 'private') return redis
  const socket = join(resolve(dataDir), 'redis', 'redis.sock')
  if (existsSync(socket)) return { kind: 'standalone', url: new Secret(socket) }
  throw new ConfigError(
    'REDIS_URL is missing, and no cio-webhook runs with a Redis of its own: give redis://host:port'
  )
}
