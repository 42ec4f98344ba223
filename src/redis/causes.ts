// Tested by test/redis/failure.slow.test.ts.
import { errorCode, ReportedError, UnavailableError } from '../errors.ts'

/**
 * What a code of Node or the first word of an error reply of Redis means, with the next step. Errors of Node:
 * https://nodejs.org/api/errors.html, https://nodejs.org/api/tls.html; replies: src/server.c, acl.c of Redis 7.
 */
const EXPLANATIONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at this address',
  ECONNRESET: 'the server closed the connection before it replied',
  EPIPE: 'the server closed the connection before it replied',
  ENOTFOUND: 'unknown host name',
  EAI_AGAIN: 'the DNS server does not answer',
  ETIMEDOUT: 'no connection in time: is a firewall in between?',
  EHOSTUNREACH: 'no route to this host',
  ENETUNREACH: 'no route to this network',
  EACCES: 'this user may not open the socket',
  ENOENT: 'there is no such socket: its Redis does not run',
  WRONGPASS: 'wrong user or password',
  NOAUTH: 'a password is needed',
  DENIED:
    'Redis is in protected mode: set a password, or allow this network with "bind" and "protected-mode no"',
  LOADING: 'Redis is reading its data from disk: wait until it is ready',
  BUSY: 'a script blocks Redis: end it with redis-cli script kill',
  READONLY: 'this is a replica: use the address of the master',
  MASTERDOWN: 'this replica has lost its master: use the address of the master',
  CLUSTERDOWN: 'the Cluster does not serve all slots: see redis-cli cluster info',
  OOM: 'its memory is full: raise maxmemory, or start the consumers that are behind',
  MISCONF: 'Redis cannot write to its disk and refuses all writes: see its log; is the disk full?',
  NOREPLICAS: 'too few replicas for min-replicas-to-write',
  NOGOODSLAVE: 'the sentinels find no replica that can become master',
  IDONTKNOW: 'the sentinels do not agree on a master',
  CERT_HAS_EXPIRED: 'the certificate of the server has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is not trusted: set NODE_EXTRA_CA_CERTS to its CA',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is not trusted: set NODE_EXTRA_CA_CERTS to its CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is not trusted: set NODE_EXTRA_CA_CERTS to its CA',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is not trusted: set NODE_EXTRA_CA_CERTS to its CA',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name: use that name',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'the server demands a client certificate: set "tls-auth-clients no" there'
}

/** Causes without a code: what `examine` finds out about a server. */
export const FINDINGS = {
  plain: 'TLS mismatch (this server does not use TLS: write redis:// instead of rediss://, or REDIS_TLS=off)',
  tls: 'TLS mismatch (this server expects TLS: write rediss:// instead of redis://, or REDIS_TLS=on)',
  http: 'not a Redis server (it answers with HTTP: check host and port)',
  other: 'not a Redis server (it does not speak the protocol of Redis: check host and port)',
  silent:
    'no answer to PING (it accepts connections and sends nothing: it hangs, a slow command blocks it, or it is not a Redis server)',
  closed: 'connection lost (the server or a proxy closed it)'
} as const

/** Error replies without a code of their own. Only these beginnings are recognized, and nothing of the rest is shown. */
const ERR_REPLIES: readonly (readonly [start: string, explanation: string])[] = [
  ['ERR max number of clients', 'Redis has its maximum of clients: raise maxclients, or close other clients'],
  ['ERR This instance has cluster support disabled', 'not a Cluster: set REDIS_URL, not REDIS_CLUSTER_NODES'],
  ['ERR No such master', 'the sentinels do not know this master: check REDIS_SENTINEL_MASTER'],
  ["ERR unknown command 'sentinel'", 'not a sentinel: check REDIS_SENTINELS'],
  ['ERR Client sent AUTH', 'Redis has no password: remove it from the URL']
]

/** Further codes that are shown, without an explanation: the code says it, or it does not concern operators. */
const OTHER_CODES =
  /^(?:ERR|WRONGTYPE|NOSCRIPT|EXECABORT|BUSYGROUP|BUSYKEY|NOGROUP|CROSSSLOT|MOVED|ASK|TRYAGAIN|NOPROTO|UNKILLABLE|INPROG)$/

/** In the reply to a command that the ACL of the user does not allow; for one in a script only from Redis 7.2 on. */
const FORBIDDEN_COMMAND = / run the '([a-z_-]{2,20}(?:\|[a-z_-]{2,20})?)' command/i

/** How a script fails that runs such a command: Redis from 7.2 on and Valkey, Redis 7.0. */
const FORBIDDEN_IN_SCRIPT = /^ERR (?:ACL failure in script:|The user executing the script can't) /

/**
 * The cause in an error reply of Redis. A reply can repeat what was sent, so only known codes are shown, and for NOPERM
 * the name of the command.
 *
 * @returns such as `WRONGPASS (wrong user or password)`; `undefined` if the text begins with no known code
 */
export function replyCause(reply: string): string | undefined {
  const [code = ''] = reply.split(' ', 1)
  if (code === 'NOPERM' || FORBIDDEN_IN_SCRIPT.test(reply)) return `NOPERM (${forbidden(reply)})`
  const explained = ERR_REPLIES.find(([start]) => reply.startsWith(start))?.[1] ?? replyExplanation(code)
  if (explained !== undefined) return `${code} (${explained})`
  return OTHER_CODES.test(code) ? code : undefined
}

/** Node's codes are not replies of Redis. */
const replyExplanation = (code: string): string | undefined =>
  /^E[A-Z]+$|_/.test(code) ? undefined : explanation(code)

function forbidden(reply: string): string {
  const command = FORBIDDEN_COMMAND.exec(reply)?.[1]?.toLowerCase()
  if (command !== undefined) {
    return `the Redis user may not run ${command}: allow it with ACL SETUSER <user> +${command}`
  }
  return /\bkeys?\b/.test(reply)
    ? 'the Redis user may not use the keys of CIO_KEY_PREFIX: allow them with ACL SETUSER <user> ~cio:*'
    : 'the Redis user lacks a permission: redis-cli acl log names it'
}

/** A code of Node with its explanation. */
export function codeCause(code: string): string {
  const explained = explanation(code)
  return explained === undefined ? code : `${code} (${explained})`
}

const explanation = (code: string): string | undefined =>
  Object.hasOwn(EXPLANATIONS, code) ? EXPLANATIONS[code] : undefined

/** Codes that say all: the server was not reached, or its certificate was not accepted. */
export const isConclusive = (code: string): boolean =>
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|E(?:HOST|NET)UNREACH|EACCES|ENOENT|ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED)$|CERT(?!IFICATE)|UNABLE_TO/.test(
    code
  )

/**
 * The cause that an error names by itself. Not for a reset or closed connection or a timeout, which have several causes:
 * `examine` finds out.
 */
export function errorCause(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof ReportedError) return error.message
  if (error.name === 'ReplyError') return replyCause(error.message)
  const code = errorCode(error)
  return code !== undefined && isConclusive(code) ? codeCause(code) : undefined
}

const LOST_NAMES = /^(?:MaxRetriesPerRequestError|ClusterAllFailedError)$/
const LOST_MESSAGES =
  /^(?:Connection is closed|Command timed out|Command aborted due to|Stream isn't writeable)/

/** Whether ioredis gave up a command: the connection is lost, or the reply did not come in time. */
export const isConnectionLoss = (error: Error): boolean =>
  LOST_NAMES.test(error.name) || LOST_MESSAGES.test(error.message)

/** Whether an error came from Redis or the connection to it. Others are mistakes in this program. */
export function isRedisError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (errorCause(error) !== undefined || error.name === 'ReplyError' || isConnectionLoss(error)) return true
  return error instanceof UnavailableError || /^E[A-Z]+$/.test(errorCode(error) ?? '')
}

/** Every cause with an explanation, as it is shown. */
export const documentedCauses: readonly string[] = [
  ...Object.keys(EXPLANATIONS).map(codeCause),
  ...Object.values(FINDINGS),
  ...ERR_REPLIES.flatMap(([reply]) => replyCause(reply) ?? []),
  ...["run the 'config|get' command", 'access a key', ''].flatMap(
    rest => replyCause(`NOPERM user ${rest}`) ?? []
  )
]
