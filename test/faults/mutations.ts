import {
  answersAre,
  BOUNDED,
  CONTENT,
  DUPLICATED,
  EXITS,
  FRESHNESS,
  LOST,
  NO_ALERT,
  NOT_RESENT,
  NOTHING_MISSED
} from './check-names.ts'
import {
  type CodeChange,
  callee,
  comparison,
  type Edit,
  type Place,
  property,
  type Selector,
  value,
  whenTrue
} from './mutate.ts'

/*
 * Mutation testing of the oracle: each mutation breaks one law in a copy of the service, and a scenario must catch it.
 */

const place = (file: string, declaration: string, selector: Selector): Place => ({
  file,
  declaration,
  selector
})

/** All paths and names of src that the mutations depend on: edit this table when one of them is renamed. */
const places = {
  appendOfDelivery: place('receive/keep', 'keepDelivery', callee('append')),
  sanitizing: place('receive/log-entry', 'toLogEntry', callee('value')),
  tooOld: place('receive/signature', 'freshness', comparison('toleranceSeconds')),
  deadline: place('receive/route', 'DEADLINE_MS', value),
  barredBodyLimit: place('receive/on-request', 'BARRED_BODY_LIMIT_BYTES', value),
  barredBodiesLimit: place('receive/on-request', 'BARRED_BODIES', property('totalBytes')),
  outcomeOfUnread: place('receive/refusal', 'outcomeOf', whenTrue),
  turn: place('http/unknown-peers', 'MAX_TURN_MS', value),
  rememberedField: place('log/append-call', 'run', callee('memberField')),
  appendScript: place('log/append-call', 'run', callee('runScript')),
  searchedGenerations: place('log/dedupe-index', 'bucketKeysOf', callee('map')),
  earlyTrim: place('log/trim', 'trimForMemory', callee('runScript')),
  commandTimeout: place('redis/connect', 'COMMAND_TIMEOUT_MS', value),
  resend: place('redis/connect', 'failFastOptions', property('autoResendUnfulfilledCommands')),
  retries: place('redis/connect', 'failFastOptions', property('maxRetriesPerRequest'))
} as const

/** A change of the service that breaks a law, and the check that must fail then. */
export interface Mutation extends CodeChange {
  readonly about: string
  /** The scenario that is run. */
  readonly scenario: string
  /** Checks of the scenario: one of them must fail. */
  readonly caughtBy: readonly string[]
}

const edit = (place: Place, replacement: string | Edit['replacement']): Edit => ({
  place,
  replacement: typeof replacement === 'string' ? () => replacement : replacement
})

export const mutations: readonly Mutation[] = [
  {
    name: 'answer-before-append',
    about: 'law 2: sends 200 without waiting for the append',
    edits: [
      edit(places.appendOfDelivery, append => `(entry => (${append}(entry).catch(() => {}), 'appended'))`)
    ],
    scenario: 'redis-killed',
    caughtBy: [LOST]
  },
  {
    name: 'append-without-remembering',
    about: 'law 3: appends an event without remembering its id',
    // A random field is remembered instead, as long as a digest.
    edits: [edit(places.rememberedField, "(() => Math.random().toString(36).padEnd(14, '0').slice(2, 14))")],
    scenario: 'reply-lost',
    caughtBy: [DUPLICATED]
  },
  {
    name: 'two-calls',
    about:
      'law 3: remembers the id in one call and appends the event in the next; a kill can happen in between',
    edits: [edit(places.appendScript, inTwoCalls)],
    scenario: 'chosen-points',
    caughtBy: [LOST]
  },
  {
    name: 'resend-after-reconnect',
    about: 'section 6: sends commands again after a reconnect, as Redis clients do by default',
    edits: [edit(places.resend, 'true'), edit(places.retries, 'null')],
    scenario: 'reply-lost',
    caughtBy: [NOT_RESENT]
  },
  {
    name: 'newest-generation-only',
    about: 'law 3: looks for an id only in the newest generation',
    // append.lua counts the keys, so the newest one is repeated. With fewer keys every call would fail.
    edits: [edit(places.searchedGenerations, map => `(toKey => ${map}(() => toKey(generations[0])))`)],
    scenario: 'generations',
    caughtBy: [DUPLICATED]
  },
  {
    name: 'unsanitized',
    about: 'law 5: appends the payload without sanitizing it',
    edits: [edit(places.sanitizing, '(payload => payload)')],
    scenario: 'scripts-flushed',
    caughtBy: [CONTENT]
  },
  {
    name: 'accepts-stale-timestamps',
    about: 'law 4: ignores the age of a signed timestamp',
    edits: [edit(places.tooOld, 'false')],
    scenario: 'clock-of-service',
    caughtBy: [FRESHNESS]
  },
  {
    name: 'trims-unread',
    about: 'law 6: early trimming removes entries that consumer groups have not acknowledged',
    edits: [edit(places.earlyTrim, trimsUnread)],
    scenario: 'memory-pressure',
    caughtBy: [NOTHING_MISSED]
  },
  {
    name: 'never-gives-up',
    about: 'law 7: a delivery waits for Redis without a time limit',
    edits: [edit(places.deadline, '60_000'), edit(places.commandTimeout, '60_000')],
    scenario: 'redis-stopped',
    caughtBy: [answersAre(['200', '503'])]
  },
  {
    name: 'bodies-without-budget',
    about: 'law 9: reads every body, however much memory other bodies use',
    edits: [
      edit(places.barredBodyLimit, '5 * 1024 * 1024'),
      edit(places.barredBodiesLimit, '8000 * 1024 * 1024'),
      // Otherwise too little of the bodies is read before the deadline.
      edit(places.turn, '10_000')
    ],
    scenario: 'flood-unfinished',
    // The kernel may kill the process at 512 MiB before its memory is measured.
    caughtBy: [BOUNDED, EXITS]
  },
  {
    name: 'alert-without-key',
    about: 'law 9: counts an unauthenticated body as an outage',
    edits: [edit(places.outcomeOfUnread, "'unavailable'")],
    scenario: 'flood-unfinished',
    caughtBy: [NO_ALERT]
  }
]

/** The script appends to streams that are not read; the real append is a command of its own. See append.lua. */
function inTwoCalls(runScript: string): string {
  return `(async (redis, script, keys, args) => {
    const unreadStreams = keys.map((key, index) => (index === 1 || index === 2 ? key + ':unread' : key))
    const replies = await ${runScript}(redis, script, unreadStreams, args)
    if (replies[0] !== 'done') return replies
    for (let entry = 0; entry < replies.length - 3; entry++) {
      const [mark, type, event] = args.slice(3 + entry * 3)
      if (replies[3 + entry] === 1) await redis.xadd(keys[mark[12] - 1], '*', 'type', type, 'event', event)
    }
    return replies
  })`
}

/** Only looks (see trim.lua), then removes the oldest entries, acknowledged or not. */
function trimsUnread(runScript: string): string {
  return `(async (redis, script, keys, [entries, age, length, share]) => {
    const reply = await ${runScript}(redis, script, keys, [0, age, length, share])
    const [usedBytes, maxBytes] = [reply[5], reply[7]]
    if (entries > 0 && usedBytes > share * maxBytes)
      reply[2] = await redis.xtrim(keys[0], 'MAXLEN', Math.max(0, (await redis.xlen(keys[0])) - entries))
    return reply
  })`
}
