import type { Redis } from 'ioredis'
import type { Check } from '../../faults/scenario.ts'
import { KEY } from '../../helpers/sign.ts'
import type { SocketRun } from './fuzz-sockets.ts'
import { TOKEN } from './requests.ts'

/** Allowed growth of the resident memory after the warm-up: garbage collection makes it vary. */
const MAX_GROWTH_MB = 80
const MAX_OPEN_FILES_MORE = 3
const EXAMPLES = 5

/** Allowed reasons for 503: the body was not finished, or the machine is too slow. */
const allowedReasons = new Set(['deadline', 'overloaded'])

/** Checks the observations of a run and the content of Redis. */
export async function checkSockets(run: SocketRun, redis: Redis): Promise<readonly Check[]> {
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
    check('every response to hostile bytes was allowed', run.complaints),
    check(
      'authentic deliveries were answered 200 in time',
      run.steady.flatMap(({ complaints }) => complaints)
    ),
    check('the service is healthy, and exits with 0 after SIGTERM', [
      ...(run.healthy ? [] : ['not healthy']),
      ...(run.exit === 0 ? [] : [`exit ${run.exit}`])
    ]),
    check('every log line is JSON, and none reports an internal error', lines.filter(isBad)),
    check('no personal value and no secret is in log lines, metrics or Redis', [
      ...leaks(run.output, 'the log lines'),
      ...leaks(run.metrics, 'the metrics'),
      ...leaks(texts.join('\n'), 'Redis'),
      ...leaks((await redis.keys('*')).join('\n'), 'the Redis keys')
    ]),
    check(
      'the log has only authentic deliveries',
      ids.filter(id => !claimed.has(id))
    ),
    check('every complete authentic delivery is in the log, once', [
      ...claims.filter(({ id, sure }) => sure && !kept.has(id)),
      ...(kept.size === ids.length ? [] : ['twice'])
    ]),
    check(
      'memory and open files do not grow',
      [
        ...(run.after.residentMb - run.before.residentMb > MAX_GROWTH_MB ? ['memory'] : []),
        ...(run.after.openFiles - run.before.openFiles > MAX_OPEN_FILES_MORE ? ['open files'] : [])
      ],
      { before: run.before, after: run.after }
    ),
    {
      name: `enough traffic: ${attacks} hostile conversations, ${steady} authentic deliveries, ${entries.length} entries`,
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

/** Not JSON, an error, or a delivery that failed for a reason that is not allowed. */
function isBad(line: string): boolean {
  try {
    const { level, outcome, reason, err } = JSON.parse(line)
    if (level === 'error' || level === 'fatal') return true
    if (outcome === 'unavailable') return !allowedReasons.has(reason)
    return err !== undefined && outcome !== 'aborted'
  } catch {
    return true
  }
}
