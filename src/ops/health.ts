import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseAddress } from '../address.ts'
import { compileAddressList } from '../address-list.ts'
import { sendError } from './error-responses.ts'

/** What the service knows of itself, asked at each request. */
export interface Health {
  readonly redisUp: boolean
  readonly draining: boolean
  /** The configured durability, and what Redis is configured to keep. */
  readonly durability: { readonly level: string; readonly redis: string }
}

/**
 * `/healthz`: 200 while the process can answer, Redis up or not: were the load balancer to answer for us, its
 * 502 would cost the sender an hour, our own 503 does not. `/readyz`: 503 while Redis is away or the process is
 * about to end.
 */
export function healthRoutes(app: FastifyInstance, health: () => Health): void {
  app.get('/healthz', (_request, reply) => {
    const { redisUp, draining, durability } = health()
    return reply.send({
      status: redisUp && !draining ? 'ok' : 'degraded',
      redis: redisUp ? 'up' : 'down',
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

export interface MetricsRoute {
  readonly allowed: readonly string[]
  /** The metrics of the whole service, as Prometheus text. */
  readonly read: () => Promise<string>
  readonly contentType: string
}

/** `/metrics`, for the configured addresses only. */
export function metricsRoute(app: FastifyInstance, { allowed, read, contentType }: MetricsRoute): void {
  const mayRead = compileAddressList(allowed)
  app.get('/metrics', async (request, reply) => {
    if (!mayRead(request.ip ?? '') || cameThroughUnknownProxy(request))
      return sendError(reply, 'CIO_METRICS_FORBIDDEN')
    return reply.header('content-type', contentType).send(await read())
  })
}

/** A private address that forwards for others is a load balancer that is not configured: anybody can be behind it. */
function cameThroughUnknownProxy({ headers, ip, socket }: FastifyRequest): boolean {
  const forwarded = headers['x-forwarded-for'] ?? headers['forwarded'] ?? headers['x-real-ip']
  const address = parseAddress(ip ?? '')
  const peer = parseAddress(socket.remoteAddress ?? '')
  return forwarded !== undefined && (address === undefined || address === peer)
}
