// Tested by test/cli/reconcile/command.slow.test.ts.
import { openAppApi } from '../../customerio/app-api.ts'
import { ConfigError, ReportedError } from '../../errors.ts'
import { openEventLog } from '../../tools/open-event-log.ts'
import { LOCK_MS, type Progress, readProgress } from '../../tools/reconcile/progress.ts'
import { NO_MESSAGE_INDEX, newProgress, reconcile } from '../../tools/reconcile/reconcile.ts'
import { type Command, EXIT, type ExitCode, UsageError } from '../command.ts'
import { type OpenLog, openLog } from '../open-log.ts'
import { createProgressBar } from '../progress-bar.ts'
import { type ReconcileArguments, readReconcileOptions, reconcileUsage } from './options.ts'
import { reconciledJson, reconciledText, stillMissing } from './report.ts'

export const reconcileCommand: Command = {
  summary: 'find events that never arrived, and append them',
  usage: reconcileUsage,
  run: async (args, env) => {
    const nowMs = Date.now()
    const options = readReconcileOptions(args, nowMs)
    const log = await openLog(env, ['customerIo', 'appApiKey', 'loadHashKey', 'loadSources', 'reconcile'])
    try {
      return await run(options, log, nowMs)
    } finally {
      log.close()
    }
  }
}

type Log = OpenLog<'customerIo' | 'appApiKey' | 'loadHashKey' | 'loadSources' | 'reconcile'>

const CONTINUE = 'cio-webhook reconcile: to continue where it was, run cio-webhook reconcile --resume\n'

async function run(options: ReconcileArguments, { redis, config }: Log, nowMs: number): Promise<ExitCode> {
  const { appApiKey, customerIo } = config
  if (appApiKey === undefined) {
    throw new ConfigError(
      'CIO_APP_API_KEY is missing: create an App API key at Customer.io, in Account Settings'
    )
  }
  const { keyPrefix } = config.log
  const progress = await chooseProgress(options, { redis, config }, nowMs)
  const source = (await config.loadSources()).get(progress.source)
  if (source === undefined) {
    throw new UsageError(`--source ${progress.source}: CIO_SOURCES_FILE has no source of this name`)
  }
  const { eventLog, messageIndex, close } = await openEventLog(redis, config.log, await config.loadHashKey())
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
  const bar = createProgressBar(process.stderr)
  try {
    if (messageIndex === undefined) {
      throw new ReportedError(NO_MESSAGE_INDEX)
    }
    const result = await reconcile(
      {
        redis,
        keyPrefix,
        api: openAppApi({ account: customerIo, readKey: async () => appApiKey }),
        index: messageIndex,
        indexMs: config.reconcile.indexMs,
        source,
        eventLog,
        eventsPerSecond: options.eventsPerSecond,
        signal: stopped.signal,
        now: Date.now,
        onProgress: bar.show,
        lockWaitMs: LOCK_MS + 5000
      },
      progress
    )
    bar.clear()
    process.stdout.write(
      options.json ? `${JSON.stringify(reconciledJson(result))}\n` : reconciledText(result)
    )
    if (!result.isFinished) {
      await sayHowToContinue()
      return EXIT.error
    }
    return stillMissing(result.report) === 0 ? EXIT.ok : EXIT.findings
  } catch (error) {
    bar.clear()
    await sayHowToContinue()
    throw error
  } finally {
    close()
  }

  async function sayHowToContinue(): Promise<void> {
    if ((await readProgress(redis, keyPrefix).catch(() => undefined)) !== undefined)
      process.stderr.write(CONTINUE)
  }
}

async function chooseProgress(
  { resume, fill, source, fromMs, toMs }: ReconcileArguments,
  { redis, config }: Pick<Log, 'redis' | 'config'>,
  nowMs: number
): Promise<Progress> {
  const { keyPrefix } = config.log
  if (resume) {
    const progress = await readProgress(redis, keyPrefix)
    if (progress !== undefined) return progress
    throw new UsageError('--resume: no comparison was interrupted in the last 24 hours')
  }
  const range = {
    fromSeconds: Math.floor((fromMs ?? toMs - config.reconcile.indexMs) / 1000),
    toSeconds: Math.ceil(toMs / 1000)
  }
  return newProgress(range, { runner: 'command', source, fill, startedAtMs: nowMs })
}
