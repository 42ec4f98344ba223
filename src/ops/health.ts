// Tested by test/ops/metrics.test.ts.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseAddress } from '../address.ts'
import { compileAddressList } from '../address-list.ts'
import { sendError } from './error-responses.ts'
import { OPENMETRICS_TYPE, prefersOpenMetrics, toOpenMetrics, toPrometheusText } from './openmetrics.ts'
import type { RedisProblem } from './redis-report.ts'

/** The state of the service, read at each request. */
export interface Health {
  readonly redisUp: boolean
  /** Why deliveries cannot be kept. */
  readonly problem: RedisProblem | undefined
  readonly draining: boolean
  /** The configured durability, and what Redis is configured to persist. */
  readonly durability: { readonly level: string; readonly redis: string }
  /** Product and version of the Redis server; `undefined` until it has answered. */
  readonly redisServer: string | undefined
}

/**
 * `/healthz`: 200 while the process can answer, whether Redis is up or not. Otherwise a load balancer would answer in
 * our place, and its 502 costs the sender an hour; our 503 does not. `/readyz`: 503 while Redis is down or the process
 * is about to stop.
 *
 * @param operators addresses that see which Redis it is, and the address and cause of a failing one, since internal host
 * names and versions are not for the internet: those that may read the metrics
 */
export function healthRoutes(app: FastifyInstance, health: () => Health, operators: readonly string[]): void {
  const isOperator = operatorCheck(operators)
  app.get('/healthz', (request, reply) => {
    const { redisUp, problem, draining, durability, redisServer } = health()
    const reason = problem?.summary ?? (draining ? 'the process is shutting down' : undefined)
    return reply.send({
      status: reason === undefined && redisUp ? 'ok' : 'degraded',
      redis: redisUp ? 'up' : 'down',
      ...(isOperator(request) ? { redisServer, ...redisFailure(problem) } : {}),
      ...(reason === undefined ? {} : { reason }),
      draining,
      durability,
      uptimeSeconds: Math.floor(process.uptime())
    })
  })
  app.get('/readyz', (_request, reply) => {
    const { redisUp, draining } = health()
    const ready = redisUp && !draining
    return reply.code(ready ? 200 : 503).send({ ready, redis: redisUp ? 'up' : 'down', draining })
  })
}

const redisFailure = (problem: RedisProblem | undefined) =>
  problem?.failure && { redisAddress: problem.failure.address, redisCause: problem.failure.cause }

export interface MetricsRoute {
  readonly allowed: readonly string[]
  /** The metrics of all workers, as the registry writes them. */
  readonly read: () => Promise<string>
  /** The content type of the text format. */
  readonly textType: string
}

/** `/metrics`, for the configured addresses only, in the format that the scraper asks for. */
export function metricsRoute(app: FastifyInstance, { allowed, read, textType }: MetricsRoute): void {
  const isOperator = operatorCheck(allowed)
  app.get('/metrics', async (request, reply) => {
    if (!isOperator(request)) return sendError(reply, 'CIO_METRICS_FORBIDDEN')
    const metrics = await read()
    return prefersOpenMetrics(request.headers.accept)
      ? reply.header('content-type', OPENMETRICS_TYPE).send(toOpenMetrics(metrics))
      : reply.header('content-type', textType).send(toPrometheusText(metrics))
  })
}

function operatorCheck(addresses: readonly string[]): (request: FastifyRequest) => boolean {
  const isAllowed = compileAddressList(addresses)
  return request => isAllowed(request.ip ?? '') && !cameThroughUnknownProxy(request)
}

/** A forwarded request from an address that is not a trusted proxy: the real client can be anyone on the internet. */
function cameThroughUnknownProxy({ headers, ip, socket }: FastifyRequest): boolean {
  const forwarded = headers['x-forwarded-for'] ?? headers['forwarded'] ?? headers['x-real-ip']
  const address = parseAddress(ip ?? '')
  const peer = parseAddress(socket.remoteAddress ?? '')
  return forwarded !== undefined && (address === undefined || address === peer)
}
