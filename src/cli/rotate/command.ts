import { duration } from '../../settings/parse.ts'
import { signingKeyName } from '../../settings/sources.ts'
import type { RotationReport } from '../../tools/rotate/report.ts'
import { readRotationStatus } from '../../tools/rotate/rotations.ts'
import { finishTrackKey, rotateTrackKey } from '../../tools/rotate/track-key.ts'
import { finishWebhookKey, rotateWebhookKey } from '../../tools/rotate/webhook-key.ts'
import { type Command, EXIT, type ExitCode, parseCommandLine, readOption, UsageError } from '../command.ts'
import { openRotation, type Rotation } from './context.ts'
import { printReport, printStatus } from './report.ts'

const DAY = '24h'

export const rotateCommand: Command = {
  summary: 'put a new Track API key or signing key into use, without refusing a delivery',
  usage: `usage: cio-webhook rotate [track-key] [options]   check and switch the Track API key
       cio-webhook rotate webhook-key [options]   put a new signing key beside the old one
       cio-webhook rotate status                  show rotations in progress, and what is due
       cio-webhook rotate finish [track-key|webhook-key] [options]
                                                  retire the old key, once nothing uses it

The new key is read from CIO_API_KEY_V2 (CIO_WEBHOOK_SECRET_V2), also as …_FILE; otherwise from the place of the
old one: the file cio-api-key-v2 (cio-webhook-secret-v2) in the same folder, or the secret of that name in the
provider; otherwise from the pending version of the old secret. A new Track API key has its own site id:
cio-site-id-v2.

  --new NAME         name of the new secret, instead of cio-api-key-v2 or cio-webhook-secret-v2
  --new-site NAME    name of the new site id, instead of cio-site-id-v2
  --probe identify   also write the person rotation-test with the new key, and delete it
  --drain TIME       how long the old Track API key must stay valid (24h)
  --old-revoked      the old Track API key is revoked already: do not compare the workspaces
  --source NAME      the source whose signing key is rotated (default)
  --quiet TIME       how long the old signing key must not have been seen before it is retired (24h)
  --wait TIME        how long to wait for the replicas (120s)
  --now              retire the old signing key without checking the deliveries
  --dry-run          check and compare, change nothing
  --json             the report as JSON

Exit code: 0 done, or nothing to do; 1 a key was refused, or it is too early, or (status) a step is due; 2 a step
could not be tried, or (status) Redis cannot be reached.`,
  run: async (args, env) => {
    const { values, positionals } = parseCommandLine({
      args: [...args],
      allowPositionals: true,
      options: {
        new: { type: 'string' },
        'new-site': { type: 'string' },
        probe: { type: 'string' },
        drain: { type: 'string', default: DAY },
        quiet: { type: 'string' },
        wait: { type: 'string', default: '120s' },
        source: { type: 'string', default: 'default' },
        'old-revoked': { type: 'boolean', default: false },
        now: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false }
      }
    })
    const act = positionals.join(' ') || 'track-key'
    const known = ['track-key', 'webhook-key', 'status', 'finish', 'finish track-key', 'finish webhook-key']
    if (!known.includes(act)) throw new UsageError(`unknown action ${act}: give one of ${known.join(', ')}`)
    if (values.probe !== undefined && values.probe !== 'identify') {
      throw new UsageError(`--probe ${values.probe}: give identify`)
    }
    const drainSeconds = readOption('--drain', duration, values.drain)
    const waitMs = readOption('--wait', duration, values.wait) * 1000
    const quietGiven = values.quiet === undefined ? undefined : readOption('--quiet', duration, values.quiet)
    const dryRun = values['dry-run']

    const isOfWebhook = act === 'webhook-key' || act === 'finish webhook-key'
    const rotation = await openRotation(env, isOfWebhook || act === 'status')
    try {
      if (!rotation.sources.includes(values.source)) {
        throw new UsageError(`--source ${values.source}: no such source in CIO_SOURCES_FILE`)
      }
      if (act === 'status') return await status(rotation, quietGiven, values.json)
      return finished(await report(), values.json)
    } finally {
      rotation.close()
    }

    async function report(): Promise<RotationReport> {
      if (isOfWebhook) {
        const webhookKey = rotation.webhookKey(values.source)
        const quietSeconds = quietGiven ?? (await rotation.rotations.quietSeconds(values.source))
        return act === 'webhook-key'
          ? rotateWebhookKey(webhookKey, {
              newKey: rotation.newSecret(signingKeyName(values.source), values.new),
              quietSeconds,
              waitMs,
              dryRun
            })
          : finishWebhookKey(webhookKey, { quietSeconds, waitMs, force: values.now, dryRun })
      }
      const trackKey = rotation.trackKey()
      if (act !== 'track-key') return finishTrackKey(trackKey, dryRun)
      return rotateTrackKey(trackKey, {
        newKey: rotation.newSecret('cio-api-key', values.new),
        newSiteId: rotation.newSecret('cio-site-id', values['new-site']).handle,
        drainSeconds,
        identify: values.probe === 'identify',
        oldRevoked: values['old-revoked'],
        dryRun
      })
    }
  }
}

const exitCodes: Readonly<Record<RotationReport['outcome'], ExitCode>> = {
  done: EXIT.ok,
  nothing_to_do: EXIT.ok,
  would_do: EXIT.ok,
  failed: EXIT.findings,
  impossible: EXIT.error
}

function finished(report: RotationReport, json: boolean): ExitCode {
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : printReport(report))
  return exitCodes[report.outcome]
}

/** Exit code 1 if something is due, so that a scheduler can check it; 2 if Redis cannot be read. */
async function status(rotation: Rotation, quiet: number | undefined, json: boolean): Promise<ExitCode> {
  const all = await readRotationStatus(rotation.rotations, rotation.sources, quiet)
  process.stdout.write(json ? `${JSON.stringify(all)}\n` : printStatus(all))
  const problem = all.webhookKeys.find(one => one.problem !== undefined)?.problem
  if (problem !== undefined) {
    process.stderr.write(`cio-webhook rotate: ${problem}\n`)
    return EXIT.error
  }
  const due = all.trackKey?.due === true || all.webhookKeys.some(one => one.due)
  return due ? EXIT.findings : EXIT.ok
}
