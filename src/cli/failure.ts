import { basename } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import { errorCode, ReportedError } from '../errors.ts'
import { isConnectionLoss, replyCause } from '../redis/causes.ts'
import { UsageError } from './command.ts'
import { terminalSafe } from './terminal.ts'

type DescribeRedis = (error: unknown) => Promise<{ readonly address: string; readonly cause: string }>

let describeRedis: DescribeRedis | undefined

/** From now on, failures of Redis are described by this function: a command uses one Redis. */
export function onRedisFailure(describe: DescribeRedis): void {
  describeRedis = describe
}

/**
 * One line on the error that ended a command. Messages of libraries are not repeated: they may contain a secret or a
 * payload (ioredis puts a command's arguments into its errors). An error of our own has its message; a failure of the
 * system, of Redis or of AWS is named by its code; everything else is a bug.
 */
export async function describeFailure(error: unknown): Promise<string> {
  if (error instanceof UsageError || error instanceof ReportedError) return terminalSafe(error.message)
  return (
    (error instanceof Error
      ? (systemFailure(error) ?? (await redisFailure(error)) ?? awsFailure(error))
      : undefined) ?? unexpected(error)
  )
}

const VERBS: Readonly<Record<string, string>> = {
  connect: 'connect to',
  getaddrinfo: 'resolve the host name',
  mkdir: 'create',
  scandir: 'read'
}

type SystemError = NodeJS.ErrnoException & {
  readonly address?: string
  readonly port?: number
  readonly hostname?: string
}

/** Of a file, a socket or a process: `cannot open ./x: EACCES (permission denied)`. */
function systemFailure(error: Error): string | undefined {
  // A host name with several addresses fails with one error for each.
  const failure: SystemError = error instanceof AggregateError ? error.errors.at(-1) : error
  const { syscall, errno, path, address, port, hostname } = failure
  if (syscall === undefined || errno === undefined) return undefined
  const target = path ?? hostname ?? [address, port].filter(part => part !== undefined).join(':')
  const [, meaning = 'unknown error'] = getSystemErrorMap().get(errno) ?? []
  return `cannot ${VERBS[syscall] ?? syscall} ${terminalSafe(target)}: ${errorCode(failure)} (${meaning})`
}

async function redisFailure(error: Error): Promise<string | undefined> {
  const isReply = error.name === 'ReplyError'
  if (!isReply && !isConnectionLoss(error)) return undefined
  const failure = await describeRedis?.(error)
  const redis = failure === undefined ? 'Redis' : `Redis at ${failure.address}`
  // An error reply may repeat what was sent: only known codes are shown.
  if (isReply) return `${redis} refused a command: ${replyCause(error.message) ?? 'unknown error reply'}`
  const cause = failure === undefined ? '' : `: ${failure.cause}`
  return `the connection to ${redis} was lost${cause}; check REDIS_URL (or REDIS_SENTINELS, REDIS_CLUSTER_NODES), and try again`
}

/** An error of the AWS SDK has `$metadata`, one of its credential providers `tryNextLink`. */
function awsFailure(error: Error): string | undefined {
  if (!('$metadata' in error || 'tryNextLink' in error)) return undefined
  const code = errorCode(error)
  return `AWS failed: ${error.name}${code === undefined ? '' : ` (${code})`}`
}

function unexpected(error: unknown): string {
  const type = error instanceof Error ? error.name : typeof error
  const code = errorCode(error)
  const at = error instanceof Error ? /\((.+?:\d+:\d+)\)|at (\S+:\d+:\d+)/.exec(error.stack ?? '') : null
  const where = at === null ? '' : ` at ${basename(at[1] ?? at[2] ?? '')}`
  return `unexpected error: ${type}${code === undefined ? '' : ` ${code}`}${where}. This is a bug: please report this line, see CONTRIBUTING.md`
}
