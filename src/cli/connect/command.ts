import { duration } from '../../settings/parse.ts'
import { type Command, EXIT, parseCommandLine, readOption, UsageError } from '../command.ts'
import { readHttpUrl } from '../target-url.ts'
import { connect } from './connect.ts'
import { openConnect } from './context.ts'
import { statusText, unconfiguredText } from './report.ts'

export const connectCommand: Command = {
  summary: 'create, check and correct the reporting webhook at Customer.io',
  usage: `usage: cio-webhook connect URL [options]   create the webhook that posts to URL, or show how it differs
       cio-webhook connect status [--json]   check every webhook that was connected

URL is the public address of this service, such as https://hooks.example.com/api/cio/webhook. Everything is shown before
it is changed. Without differences, nothing is changed. It needs CIO_APP_API_KEY, and the Redis of the service.

  --apply          correct an existing webhook
  --events GLOB    only these events, such as email.* (can be repeated; default all)
  --webhook ID     use this webhook, and let it post to URL
  --source NAME    the source that URL belongs to, if a proxy changes the path (default from the path)
  --key            ask for the signing key, also if the webhook is not new
  --verify         wait for the next delivery, and show it
  --wait TIME      how long --verify waits (default 300s)
  --yes            do not ask
  --dry-run        show only
  --json           print JSON

Customer.io shows the signing key beside the webhook, and no API returns it: paste it once, it is not displayed.

Exit code: 0 connected, or nothing to do; 1 the webhook differs, the typed key could not be stored, or no
delivery came; 2 could not run.`,
  run: async (args, env) => {
    const { values, positionals } = parseCommandLine({
      args: [...args],
      allowPositionals: true,
      options: {
        apply: { type: 'boolean', default: false },
        events: { type: 'string', multiple: true },
        webhook: { type: 'string' },
        source: { type: 'string' },
        key: { type: 'boolean', default: false },
        verify: { type: 'boolean', default: false },
        wait: { type: 'string', default: '300s' },
        yes: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false }
      }
    })
    const [target, extra] = positionals
    if (target === undefined || extra !== undefined) throw new UsageError('give one public URL, or status')
    const waitSeconds = readOption('--wait', duration, values.wait)
    const isStatus = target === 'status'
    if (isStatus && args.some(arg => arg !== 'status' && arg !== '--json')) {
      throw new UsageError('status takes no option but --json: to correct a webhook, give its URL')
    }
    const url = isStatus ? undefined : readHttpUrl(target)
    const context = await openConnect(env)
    try {
      if (url !== undefined) return await connect(context, { ...values, url, waitSeconds })
      const [checks, unconfigured] = await Promise.all([context.check(), context.unconfigured()])
      if (unconfigured.length > 0) process.stderr.write(unconfiguredText(unconfigured))
      if (checks.length === 0 && unconfigured.length > 0) return EXIT.error
      if (checks.length === 0) throw new UsageError('nothing is connected yet: cio-webhook connect URL')
      process.stdout.write(values.json ? `${JSON.stringify(checks, null, 2)}\n` : statusText(checks))
      return checks.every(({ state }) => state === 'ok') ? EXIT.ok : EXIT.findings
    } finally {
      context.close()
    }
  }
}
