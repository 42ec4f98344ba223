import { ConfigError } from '../../errors.ts'
import { WEBHOOK_PATH } from '../../receive/route.ts'
import { loadSettings, NO_SIGNING_KEY } from '../../settings/config.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import { hintsFor } from '../../tools/send/hints.ts'
import { type BatchSummary, sendBatch } from '../../tools/send/load.ts'
import { sampleTypes } from '../../tools/send/samples.ts'
import { type Command, EXIT, type ExitCode, parseCommandLine, UsageError } from '../command.ts'
import { createProgressBar } from '../progress-bar.ts'
import { readHttpUrl } from '../target-url.ts'
import { ownUrl, readDeliveries, readRate, readScheme, readShare, readWhole, SMALL_RATE } from './options.ts'

const MAX_COUNT = 100_000_000
const MAX_CONCURRENCY = 1000
const DEFAULT_CONCURRENCY = 10

export const sendCommand: Command = {
  summary: 'sign and post events: a sample, a file, or standard input',
  usage: `usage: cio-webhook send [URL] [options]

Signs events as Customer.io does and posts them, for demonstrations and load tests. URL is by default the service
on this machine, http://localhost:3000${WEBHOOK_PATH} (PORT and --source count). The signing key comes from
CIO_WEBHOOK_SECRET or CIO_WEBHOOK_SECRET_FILE; outside production from what "serve" has made in DATA_DIR.

  --type TYPE          a sample of this type (default email.opened), or all: each type in turn
  --list               list the types
  --file FILE          the body from a file, - for standard input. NDJSON is one delivery per line. With a --count
                       above the number of deliveries in it, each JSON object gets an event_id of its own
  --set PATH=VALUE     change a field of every event, such as data.customer_id=42 or data.recipients.0.device_id=x;
                       VALUE is JSON or text; may be given several times
  --verbatim           send the file byte for byte every time, as one delivery
  --scheme v0|body|cdp what is signed: as Customer.io does (default), the body alone, or as Data Pipelines do
  --source NAME        the key of this source of CIO_SOURCES_FILE, and its path

  --count N            deliveries in all (default 1; for NDJSON each line once)
  --rate N             deliveries a second (default: as fast as they are answered; ${SMALL_RATE} to other machines)
  --concurrency N      deliveries under way at a time (default ${DEFAULT_CONCURRENCY})
  --duplicates 10%     this share brings an event that was sent before
  --retry              come again after a 503 or no answer, and hold back what follows, as Customer.io does
  --yes-load-test      more than ${SMALL_RATE} a second to another machine: I may do that

  --json               the summary as JSON

Exit code: 0 all were accepted, 1 some were not (refused, or parked because they are no events), 2 could not run.`,
  run: async (args, env) => {
    const { values, positionals } = parseCommandLine({
      args: [...args],
      allowPositionals: true,
      options: {
        type: { type: 'string' },
        list: { type: 'boolean', default: false },
        file: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        verbatim: { type: 'boolean', default: false },
        scheme: { type: 'string', default: 'v0' },
        source: { type: 'string', default: DEFAULT_SOURCE },
        count: { type: 'string' },
        rate: { type: 'string' },
        concurrency: { type: 'string', default: String(DEFAULT_CONCURRENCY) },
        duplicates: { type: 'string', default: '0%' },
        retry: { type: 'boolean', default: false },
        'yes-load-test': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false }
      }
    })
    if (values.list) {
      process.stdout.write(values.json ? `${JSON.stringify(sampleTypes)}\n` : `${sampleTypes.join('\n')}\n`)
      return EXIT.good
    }
    if (positionals.length > 1) throw new UsageError('give one URL')
    const { source, retry } = values
    const scheme = readScheme(values.scheme)
    const { findSigningKey, http, secrets } = await loadSettings(env, ['findSigningKey', 'http'])
    const url = readHttpUrl(positionals[0] ?? ownUrl(source, http.port))
    const key = await findSigningKey(source)
    secrets.close()
    if (key === undefined) throw new ConfigError(NO_SIGNING_KEY)
    const count = values.count === undefined ? undefined : readWhole('count', values.count, MAX_COUNT)
    const options = {
      url,
      key,
      scheme,
      retry,
      concurrency: readWhole('concurrency', values.concurrency, MAX_CONCURRENCY),
      ratePerSecond: readRate(values.rate, url, values['yes-load-test']),
      duplicateShare: readShare(values.duplicates),
      ...(await readDeliveries(values, count))
    } as const
    return send(options, values.json)
  }
}

type SendOptions = Omit<Parameters<typeof sendBatch>[0], 'now' | 'onProgress' | 'signal'>

async function send(options: SendOptions, json: boolean): Promise<ExitCode> {
  const bar = createProgressBar(process.stderr)
  const abort = new AbortController()
  // The first Ctrl-C ends with the summary of what was sent, the second at once.
  const stop = (): void => abort.abort()
  process.once('SIGINT', stop)
  const summary = await sendBatch({
    ...options,
    now: Date.now,
    signal: abort.signal,
    onProgress: done => bar.show(`${done} of ${options.count} deliveries`, done / options.count)
  })
  process.off('SIGINT', stop)
  bar.clear()
  const hints = hintsFor(summary, { ...options, keyId: options.key.id })
  process.stdout.write(
    json
      ? `${JSON.stringify({ url: options.url.href, ...summary, hints })}\n`
      : describe(options, summary) + hints.map(hint => `hint: ${hint}\n`).join('')
  )
  return exitCode(summary)
}

function exitCode({ statuses, outcomes, latencyMs }: BatchSummary): ExitCode {
  if (latencyMs === undefined) return EXIT.couldNotRun
  const allKept = Object.keys(statuses).every(status => /^2\d\d$/.test(status))
  return allKept && outcomes['parked'] === undefined ? EXIT.good : EXIT.foundSomething
}

function describe({ url }: SendOptions, summary: BatchSummary): string {
  const { deliveries, retries, statuses, outcomes, durationMs, latencyMs } = summary
  const seconds = durationMs / 1000
  const counted = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')
  const lines = [
    `${deliveries} ${deliveries === 1 ? 'delivery' : 'deliveries'} to ${url.href} in ${seconds.toFixed(1)} s (${(deliveries / seconds).toFixed(1)} a second)`,
    ...Object.entries(statuses).map(
      ([status, count]) =>
        `  ${status.padEnd(14)}${count}${status === '200' && Object.keys(outcomes).length > 0 ? ` (${counted(outcomes)})` : ''}`
    )
  ]
  if (retries > 0) lines.push(`  tried again   ${retries}`)
  if (latencyMs !== undefined) {
    const told = Object.entries(latencyMs).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`)
    lines.push(`  answered in   ${told.join('  ')}`)
  }
  return `${lines.join('\n')}\n`
}
