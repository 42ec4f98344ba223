// Tested by test/cli/events/options.test.ts.
import { compileTypeGlobs } from '../../event-types.ts'
import { integer } from '../../settings/parse.ts'
import { MAX_COUNT, parseCommandLine, readOption, UsageError } from '../command.ts'
import { parseTime } from '../parse-time.ts'

export const eventsUsage = `usage: cio-webhook events [options]
       cio-webhook events show ID [--json]
       cio-webhook events replay CONSUMER --from TIME [--to TIME] [options]
       cio-webhook events replay CONSUMER --id ID...

Finds events in the log and shows them, oldest first: the newest, if no other option is given. 'show' prints one event,
and what each consumer did with it. 'replay' gives one consumer a time range of events again, or single events.
Events are shown as consumers get them: without personal data. Configured by the environment, like serve.

  --customer ID   only events of this customer id
  --email ADDRESS only events in which the hash of this address stands, in any field; it needs the PII_HASH_KEY of the
                  service. Use --email - and give the address on standard input: arguments are in the list of processes
  --type GLOB     only events of this type: email.*, *.bounced, io.customer.email.opened (can be repeated)
  --id ID         only the event with this id (can be repeated)
  --from TIME     only events received since then: 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d
  --to TIME       only events received until then (default now)
  --count N       show at most N (default 10)
  --follow        continue with new events, until Ctrl-C
  --json          print one JSON object per line: partition, entry, event

ID of 'show', and of 'replay' without --from, is an event id, <source>/<event id> as in the header webhook-id, or a position such as 0-1795510800000-0.

Exit code: 0 ok, 1 no event was found, 2 could not run.`

export interface EventsOptions {
  readonly action:
    | { readonly name: 'list' }
    | { readonly name: 'show'; readonly id: string }
    | { readonly name: 'replay'; readonly consumer: string }
  readonly customer: string | undefined
  /** `-`: it is read from standard input. */
  readonly email: string | undefined
  readonly types: readonly string[] | undefined
  readonly ids: readonly string[] | undefined
  /** Unix milliseconds. */
  readonly fromMs: number | undefined
  readonly toMs: number | undefined
  readonly count: number
  readonly follow: boolean
  readonly json: boolean
}

/** @throws UsageError */
export function readEventsOptions(args: readonly string[], nowMs: number): EventsOptions {
  const { values, positionals } = parseCommandLine({
    args: [...args],
    allowPositionals: true,
    options: {
      customer: { type: 'string' },
      email: { type: 'string' },
      type: { type: 'string', multiple: true },
      id: { type: 'string', multiple: true },
      count: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string' },
      follow: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false }
    }
  })
  const action = readAction(positionals)
  const { customer, email, type: types, id: ids, follow, json } = values
  if (action.name === 'show') {
    const others = Object.keys(values).filter(name => !['json', 'follow'].includes(name))
    if (others.length > 0 || follow) throw new UsageError(`show takes an ID and --json, and no other option`)
  }
  if (action.name === 'replay') {
    const others = [customer, email, types, values.to].some(value => value !== undefined)
    if (values.from === undefined && (ids === undefined || others))
      throw new UsageError('replay: --from is missing; only with --id alone it is not needed')
    if (follow) throw new UsageError('--follow cannot be used with replay')
  }
  requireValidTypes(types)
  const fromMs = values.from === undefined ? undefined : parseTime('--from', values.from, nowMs)
  const toMs = values.to === undefined ? undefined : parseTime('--to', values.to, nowMs)
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs)
    throw new UsageError(`--from ${values.from} is later than --to ${values.to}`)
  return {
    action,
    customer,
    email,
    types,
    ids,
    fromMs,
    toMs,
    count: readOption('--count', integer(1, MAX_COUNT), values.count ?? '10'),
    follow,
    json
  }
}

function readAction([name, ...rest]: readonly string[]): EventsOptions['action'] {
  const [argument = '', ...others] = rest
  switch (name) {
    case undefined:
      return { name: 'list' }
    case 'show':
      if (argument === '' || others.length > 0) throw new UsageError('show: give exactly one ID')
      return { name, id: argument }
    case 'replay':
      if (argument === '' || others.length > 0) throw new UsageError('replay: give exactly one CONSUMER')
      return { name, consumer: argument }
    default:
      throw new UsageError(`unknown action ${JSON.stringify(name)}; the actions are 'show' and 'replay'`)
  }
}

function requireValidTypes(types: readonly string[] | undefined): void {
  try {
    compileTypeGlobs(types)
  } catch (error) {
    throw new UsageError(error instanceof Error ? `--type: ${error.message}` : '--type')
  }
}
