import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Report } from './report.ts'
import { FRESHNESS } from './scenarios/clocks.ts'
import { NO_ALERT } from './scenarios/floods.ts'
import { NOTHING_MISSED } from './scenarios/memory.ts'

/** A law broken on purpose in a copy of the compiled service, and who has to catch it. */
export interface Breach {
  readonly name: string
  readonly about: string
  /** In which file what text becomes what. */
  readonly patches: readonly { readonly file: string; readonly from: string; readonly to: string }[]
  /** The scenario that brings it to light. */
  readonly scenario: string
  /** The check that has to fail. */
  readonly caughtBy: string
}

const LOST = 'every acknowledged event is in the log, or was read before it was trimmed'
const DOUBLED = 'no event is there twice'

export const breaches: readonly Breach[] = [
  {
    name: 'answer-before-append',
    about: 'law 2: 200 is sent while the event is still on its way to Redis',
    patches: [
      {
        file: 'receive/keep.js',
        from: 'const outcome = await timed(eventLog.append(toLogEntry(delivery)));',
        to: "eventLog.append(toLogEntry(delivery)).catch(() => {}); const outcome = 'appended';"
      }
    ],
    scenario: 'redis-killed',
    caughtBy: LOST
  },
  {
    name: 'append-without-remembering',
    about: 'law 3: an event is appended, its id is not remembered',
    patches: [{ file: 'log/append.lua', from: "redis.call('HSET', written, digest, '')", to: '' }],
    scenario: 'reply-lost',
    caughtBy: DOUBLED
  },
  {
    name: 'two-calls',
    about: 'law 3: the id is remembered in one call, the event appended in the next; a kill falls in between',
    patches: [
      {
        file: 'log/append.lua',
        from: "redis.call('XADD', KEYS[stream], '*', 'type', ARGV[6 + entry * 4], 'event', ARGV[7 + entry * 4])",
        to: ''
      },
      {
        file: 'log/append.js',
        from: 'return (await runScript(connection, appendScript, scriptKeys, args));',
        to: `const replies = await runScript(connection, appendScript, scriptKeys, args);
        if (replies[0] === 'done')
            for (const [index, entry] of entries.entries())
                if (replies[index + 2] === 1)
                    await connection.xadd(keys[entry.stream], '*', 'type', entry.type, 'event', entry.event);
        return replies;`
      }
    ],
    scenario: 'chosen-points',
    caughtBy: LOST
  },
  {
    name: 'resend-after-reconnect',
    about: 'section 6: what was not answered is sent again on the next connection, as clients do by default',
    patches: [
      {
        file: 'redis/connect.js',
        from: 'autoResendUnfulfilledCommands: false',
        to: 'autoResendUnfulfilledCommands: true'
      },
      { file: 'redis/connect.js', from: 'maxRetriesPerRequest: 0', to: 'maxRetriesPerRequest: null' }
    ],
    scenario: 'reply-lost',
    caughtBy: 'the service sent nothing to Redis again of its own accord'
  },
  {
    name: 'newest-generation-only',
    about: 'law 3: an id is looked for in the newest generation alone',
    patches: [
      {
        file: 'log/dedupe-index.js',
        from: 'return generations.map(({ number, buckets }) => bucketKey(',
        to: 'return generations.slice(0, 1).map(({ number, buckets }) => bucketKey('
      }
    ],
    scenario: 'generations',
    caughtBy: DOUBLED
  },
  {
    name: 'unsanitized',
    about: 'law 5: the payload is appended as it came',
    patches: [
      {
        file: 'receive/log-entry.js',
        from: 'const clean = source.sanitizer.value(payload.value, { event: eventName(type), bodyBytes: body.length });',
        to: 'const clean = payload.value;'
      }
    ],
    scenario: 'scripts-flushed',
    caughtBy: 'each has the right content'
  },
  {
    name: 'takes-what-is-stale',
    about: 'law 4: how old a signed timestamp is does not count',
    patches: [
      { file: 'receive/signature.js', from: 'if (age > toleranceSeconds)', to: 'if (age > Infinity)' }
    ],
    scenario: 'clock-of-service',
    caughtBy: FRESHNESS
  },
  {
    name: 'trims-unread',
    about: 'law 6: early trimming does not look at what consumer groups have acknowledged',
    patches: [{ file: 'log/trim.lua', from: 'if less(first, unread) then', to: 'if false then' }],
    scenario: 'memory-pressure',
    caughtBy: NOTHING_MISSED
  },
  {
    name: 'never-gives-up',
    about: 'law 7: a delivery waits for Redis as long as it takes',
    patches: [
      { file: 'receive/route.js', from: 'const DEADLINE_MS = 3350;', to: 'const DEADLINE_MS = 60_000;' },
      {
        file: 'redis/connect.js',
        from: 'const COMMAND_TIMEOUT_MS = 2000;',
        to: 'const COMMAND_TIMEOUT_MS = 60_000;'
      }
    ],
    scenario: 'redis-stopped',
    caughtBy: 'the sender saw only 200, 503, and never silence'
  },
  {
    name: 'bodies-without-budget',
    about: 'law 9: every body is read, however much memory others hold',
    patches: [
      {
        file: 'receive/admit.js',
        from: 'const BARRED_BODY_LIMIT_BYTES = 128 * 1024;',
        to: 'const BARRED_BODY_LIMIT_BYTES = BODY_LIMIT_BYTES;'
      },
      { file: 'receive/admit.js', from: 'totalBytes: 8 * MIB', to: 'totalBytes: 8000 * MIB' },
      // Else too little of it is read before the deadline.
      { file: 'http/unknown-peers.js', from: 'const MAX_TURN_MS = 10;', to: 'const MAX_TURN_MS = 10_000;' }
    ],
    scenario: 'flood-unfinished',
    // The kernel kills it at 512 MiB, before anybody has asked for its memory.
    caughtBy: 'no process ended by itself or left an error uncaught'
  },
  {
    name: 'alert-by-anybody',
    about: 'law 9: a body that nobody has signed counts as our outage',
    patches: [
      {
        file: 'receive/refusal.js',
        from: "return isAborted && code !== 'CIO_RATE_LIMITED' ? 'aborted'",
        to: "return isAborted && code !== 'CIO_RATE_LIMITED' ? 'unavailable'"
      }
    ],
    scenario: 'flood-unfinished',
    caughtBy: NO_ALERT
  }
]

const COMPILED = fileURLToPath(new URL('../../src', import.meta.url))

/** The patches whose text does not stand exactly once in the compiled service. */
export const lostPatches = ({ patches }: Breach): Breach['patches'] =>
  patches.filter(({ file, from }) => readFileSync(join(COMPILED, file), 'utf8').split(from).length !== 2)

/** @returns the entry of a copy of the compiled service in which this law is broken, and how to be rid of it */
export function breakLaw({ name, patches }: Breach): { readonly main: string; remove(): void } {
  // Beside the original, so that what it imports is found.
  const folder = join(dirname(COMPILED), 'broken', name)
  rmSync(folder, { recursive: true, force: true })
  cpSync(COMPILED, folder, { recursive: true })
  for (const { file, from, to } of patches) {
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`${file} no longer says once: ${from}`)
    writeFileSync(
      path,
      text.replace(from, () => to)
    )
  }
  return {
    main: join(folder, 'cli/main.js'),
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}

/** Was it caught, and by the check that is there for it? */
export function caught({ name, about, scenario, caughtBy }: Breach, report: Report): Report {
  const check = report.checks.find(({ name }) => name === caughtBy)
  const detail = { wanted: caughtBy, scenario, checks: report.checks.filter(({ passed }) => !passed) }
  const passed = check !== undefined && !check.passed
  return {
    ...report,
    name,
    about,
    measured: passed ? { caught: JSON.stringify(check.detail) } : {},
    checks: [{ name: `${scenario} catches it: not so that ${caughtBy}`, passed, detail }]
  }
}
