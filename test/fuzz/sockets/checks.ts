import type { Redis } from 'ioredis'
import type { Check } from '../../faults/scenario.ts'
import { KEY } from '../../helpers/sign.ts'
import type { SocketRun } from './fuzz-sockets.ts'
import { TOKEN } from './requests.ts'

/** What the service may grow by once it is warm: the collector's freedom, not a leak, which grows on. */
const MAX_GROWTH_MB = 80
const MAX_OPEN_FILES_MORE = 3
const EXAMPLES = 5

/** Why a delivery may be answered 503 here: its body never came. */
const excused = new Set(['deadline', 'overloaded'])

/** Holds what was seen, and what is in Redis, against what is promised. */
export async function judgeSockets(run: SocketRun, redis: Redis): Promise<readonly Check[]> {
  const streams = ['cio:events:{0}', 'cio:parked:{0}']
  const entries = (await Promise.all(streams.map(stream => redis.xrange(stream, '-', '+')))).flat()
  const texts = entries.map(([, fields]) => fields.join('\n'))
  const ids = entries.map(([, fields]) => String(JSON.parse(fields[3] ?? '{}').id))
  const claims = [...run.claims, ...run.steady.flatMap(({ claims }) => claims)]
  const claimed = new Set(claims.map(({ id }) => id))
  const kept = new Set(ids)
  const lines = run.output.split('\n').filter(line => line !== '')
  const attacks = [...run.attacks.values()].reduce((sum, number) => sum + number, 0)
  const steady = run.steady.reduce((sum, { claims }) => sum + claims.length, 0)
  const check = (name: string, found: readonly unknown[], detail: unknown = undefined): Check => ({
    name,
    passed: found.length === 0,
    detail: { number: found.length, examples: found.slice(0, EXAMPLES), detail }
  })
  return [
    check('every conversation went as it may', run.complaints),
    check(
      'authentic deliveries go on being answered 200',
      run.steady.flatMap(({ complaints }) => complaints)
    ),
    check('the service answers its health check, and ends by SIGTERM with 0', [
      ...(run.healthy ? [] : ['not healthy']),
      ...(run.exit === 0 ? [] : [`exit ${run.exit}`])
    ]),
    check('every log line is one, and none tells of an error of ours', lines.filter(isBad)),
    check('no personal value and no secret is in the log lines, the metrics or the log in Redis', [
      ...leaks(run.output, 'the log lines'),
      ...leaks(run.metrics, 'the metrics'),
      ...leaks(texts.join('\n'), 'Redis'),
      ...leaks((await redis.keys('*')).join('\n'), "Redis's keys")
    ]),
    check(
      'nothing is in the log that was not authentic',
      ids.filter(id => !claimed.has(id))
    ),
    check('every authentic delivery that was sent whole is there, once', [
      ...claims.filter(({ id, sure }) => sure && !kept.has(id)),
      ...(kept.size === ids.length ? [] : ['twice'])
    ]),
    check(
      'memory and open files stay as they are',
      [
        ...(run.after.residentMb - run.before.residentMb > MAX_GROWTH_MB ? ['memory grew'] : []),
        ...(run.after.openFiles - run.before.openFiles > MAX_OPEN_FILES_MORE ? ['files stay open'] : [])
      ],
      { before: run.before, after: run.after }
    ),
    {
      name: `enough happened: ${attacks} hostile conversations, ${steady} authentic deliveries, ${entries.length} entries`,
      passed: attacks >= 100 && steady >= 50 && run.attacks.size >= 8,
      detail: Object.fromEntries(run.attacks)
    }
  ]
}

function leaks(text: string, place: string): string[] {
  return [TOKEN, KEY].flatMap(word => {
    const at = text.indexOf(word)
    return at === -1 ? [] : [`${place}: ${text.slice(Math.max(0, at - 300), at + 100)}`]
  })
}

/** Not JSON, an error, or a delivery that failed for a reason nobody gave it. */
function isBad(line: string): boolean {
  try {
    const { level, outcome, reason, err } = JSON.parse(line)
    if (level === 'error' || level === 'fatal') return true
    if (outcome === 'unavailable') return !excused.has(reason)
    return err !== undefined && outcome !== 'aborted'
  } catch {
    return true
  }
}
