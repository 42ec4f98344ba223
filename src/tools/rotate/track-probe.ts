import { CustomerIORequestError, RegionEU, RegionUS, TrackClient } from 'customerio-node'
import { errorCode } from '../../errors.ts'
import type { Secret } from '../../secret.ts'
import type { CustomerIo } from '../../settings/customer-io.ts'

/** What a Track API key authenticates with. */
export interface TrackCredentials {
  readonly siteId: Secret
  readonly apiKey: Secret
}

export type TrackAnswer =
  | { readonly kind: 'accepted'; readonly workspace: string; readonly region: string }
  | { readonly kind: 'refused' }
  /** Nothing is known of the key. `why` is made of statuses and codes: an answer's text may repeat anything. */
  | { readonly kind: 'unknown'; readonly why: string }

/** Asks Customer.io about a Track API key. */
export interface TrackProbe {
  /** Changes nothing at Customer.io. */
  check(credentials: TrackCredentials): Promise<TrackAnswer>
  /** Writes the person `rotation-test` and deletes it again. */
  identify(credentials: TrackCredentials): Promise<TrackAnswer>
}

export const TEST_PERSON = 'rotation-test'

const TIMEOUT_MS = 3000

/**
 * `GET /accounts/region` answers with the workspace (`environment_id`) and has no side effect; `/auth` is said
 * to answer 200 to anything in the EU (customerio-node 5.2, read 2026-11-24).
 */
export function trackProbe({ region, trackUrl }: Pick<CustomerIo, 'region' | 'trackUrl'>): TrackProbe {
  const clientFor = ({ siteId, apiKey }: TrackCredentials): TrackClient =>
    new TrackClient(siteId.reveal(), apiKey.reveal(), {
      region: region === 'eu' ? RegionEU : RegionUS,
      ...(trackUrl === undefined ? {} : { url: trackUrl }),
      timeout: TIMEOUT_MS,
      retry: { maxRetries: 0 }
    })
  const check = (credentials: TrackCredentials): Promise<TrackAnswer> =>
    asAnswer(async () => {
      const answer: Record<string, unknown> = await clientFor(credentials).getAccountRegion()
      const { environment_id: workspace, region } = answer
      if (typeof workspace !== 'string' && typeof workspace !== 'number') {
        return { kind: 'unknown', why: 'an answer without environment_id' }
      }
      return { kind: 'accepted', workspace: String(workspace), region: String(region) }
    })
  return {
    check,
    identify: credentials =>
      asAnswer(async () => {
        const client = clientFor(credentials)
        await client.identify(TEST_PERSON, { created_by: 'cio-webhook rotate' })
        await client.destroy(TEST_PERSON)
        return check(credentials)
      })
  }
}

async function asAnswer(ask: () => Promise<TrackAnswer>): Promise<TrackAnswer> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof CustomerIORequestError) {
      return error.statusCode === 401
        ? { kind: 'refused' }
        : { kind: 'unknown', why: statusOf(error.statusCode) }
    }
    return { kind: 'unknown', why: codeOf(error) }
  }
}

const statusOf = (status: number): string =>
  status === 403 ? '403: is this address on the allow list of the account?' : `status ${status}`

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  const code = errorCode(error.cause)
  if (code !== undefined) return code
  return error.name === 'TimeoutError'
    ? `no answer within ${TIMEOUT_MS / 1000} s`
    : `an answer that is no JSON`
}
