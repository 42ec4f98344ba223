import { ConfigError } from '../../errors.ts'
import { WEBHOOK_PATH } from '../../receive/route.ts'
import { loadSettings, NO_SIGNING_KEY } from '../../settings/config.ts'
import { integer } from '../../settings/parse.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import { hintsFor } from '../../tools/send/hints.ts'
import { type BatchSummary, sendBatch } from '../../tools/send/load.ts'
import { sampleTypes } from '../../tools/send/samples.ts'
import {
  type Command,
  EXIT,
  type ExitCode,
  MAX_COUNT,
  parseCommandLine,
  readOption,
  UsageError
} from '../command.ts'
import { createProgressBar } from '../progress-bar.ts'
import { readHttpUrl } from '../target-url.ts'
import { ownUrl, readDeliveries, readRate, readScheme, readShare, SMALL_RATE } from './options.ts'

const MAX_CONCURRENCY = 1000
const DEFAULT_CONCURRENCY = 10

export const sendCommand: Command = {
  summary: 'sign and post events: a sample, a file, or standard input',
  usage: `usage: cio-webhook send [URL] [options]

Signs events as Customer.io does and posts them, for demonstrations and load tests. The default URL is the service on
this machine, http://localhost:3000${WEBHOOK_PATH} (PORT and --source change it). The signing key comes from
CIO_WEBHOOK_SECRET or CIO_WEBHOOK_SECRET_FILE; outside production also from DATA_DIR, where "serve" keeps its own.

  --type TYPE          a sample of this type (default email.opened), or all: each type in turn
  --list               list the types
  --file FILE          the body from a file, - for standard input. NDJSON is one delivery per line. With a --count
                       above the number of deliveries in it, each JSON object gets an event_id of its own
  --set PATH=VALUE     change a field of every event, such as data.customer_id=42 or data.recipients.0.device_id=x;
                       VALUE is JSON or text; can be repeated
  --verbatim           send the file byte for byte each time, as one delivery
  --scheme v0|body|cdp sign as Customer.io does (v0, default), only the body, or as Data Pipelines does (cdp)
  --source NAME        use the key and the path of this source in CIO_SOURCES_FILE

  --count N            number of deliveries (default 1; for NDJSON each line once)
  --rate N             deliveries per second (default: as fast as they are answered; ${SMALL_RATE} to a non-local host)
  --concurrency N      maximum of deliveries in flight (default ${DEFAULT_CONCURRENCY})
  --duplicates 10%     share of deliveries that repeat an earlier event
  --retry              repeat a delivery after a 503 or no answer, and block later ones, as Customer.io does
  --yes-load-test      allow more than ${SMALL_RATE} requests/s to a non-local host (I am authorised to load-test it)

  --json               print the summary as JSON

Exit code: 0 all were accepted, 1 some were not (refused, or parked because they are not events), 2 could not run.`,
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
      return EXIT.ok
    }
    if (positionals.length > 1) throw new UsageError('give only one URL')
    const { source, retry } = values
    const scheme = readScheme(values.scheme)
    const { findSigningKey, http, secrets } = await loadSettings(env, ['findSigningKey', 'http'])
    const url = readHttpUrl(positionals[0] ?? ownUrl(source, http.port))
    const key = await findSigningKey(source)
    secrets.close()
    if (key === undefined) throw new ConfigError(NO_SIGNING_KEY)
    const count =
      values.count === undefined ? undefined : readOption('--count', integer(1, MAX_COUNT), values.count)
    const options = {
      url,
      key,
      scheme,
      retry,
      concurrency: readOption('--concurrency', integer(1, MAX_CONCURRENCY), values.concurrency),
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
  // The first Ctrl-C ends the sending and prints the summary; the second ends the process.
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
  if (latencyMs === undefined) return EXIT.error
  const allKept = Object.keys(statuses).every(status => /^2\d\d$/.test(status))
  return allKept && outcomes['parked'] === undefined ? EXIT.ok : EXIT.findings
}

function describe({ url }: SendOptions, summary: BatchSummary): string {
  const { deliveries, retries, statuses, outcomes, durationMs, latencyMs } = summary
  const seconds = durationMs / 1000
  const number = deliveries === 1 ? '1 delivery' : `${deliveries} deliveries`
  const rate = (deliveries / seconds).toFixed(1)
  const kept = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`)
  const rows = Object.entries(statuses).map(([status, count]) => {
    const detail = status === '200' && kept.length > 0 ? ` (${kept.join(', ')})` : ''
    return [status, count + detail]
  })
  if (retries > 0) rows.push(['retries', String(retries)])
  if (latencyMs !== undefined) {
    const percentiles = Object.entries(latencyMs).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`)
    rows.push(['latency', percentiles.join('  ')])
  }
  const width = Math.max(12, ...rows.map(([name = '']) => name.length)) + 2
  return [
    `${number} to ${url.href} in ${seconds.toFixed(1)} s (${rate} per second)\n`,
    ...rows.map(([name = '', value]) => `  ${name.padEnd(width)}${value}\n`)
  ].join('')
}
