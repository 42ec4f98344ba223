// Tested by test/tools/rotate/track-key.slow.test.ts.
import { errorCode } from '../errors.ts'
import type { Secret } from '../secret.ts'
import { type CustomerIoAccount, loadClients } from './api-client.ts'

interface TrackCredentials {
  readonly siteId: Secret
  readonly apiKey: Secret
}

export type TrackAnswer =
  | { readonly kind: 'accepted'; readonly workspace: string; readonly region: string }
  | { readonly kind: 'refused' }
  /** No verdict on the key. `why` consists of statuses and codes only: the text of an answer may repeat a secret. */
  | { readonly kind: 'unknown'; readonly why: string }

/** Checks a Track API key at Customer.io. Never rejects. */
export interface TrackProbe {
  /** Changes nothing at Customer.io. */
  check(credentials: TrackCredentials): Promise<TrackAnswer>
  /** Writes the person `rotation-test` and deletes it again. */
  identify(credentials: TrackCredentials): Promise<TrackAnswer>
}

export const TEST_PERSON = 'rotation-test'

const TIMEOUT_MS = 3000

/**
 * `GET /accounts/region` answers with the workspace (`environment_id`) and has no side effect. According to
 * customerio-node 5.2 (read 2026-11-24), `/auth` answers 200 to any key in the EU.
 */
export function trackProbe({ region, trackUrl }: Pick<CustomerIoAccount, 'region' | 'trackUrl'>): TrackProbe {
  const clientFor = async ({ siteId, apiKey }: TrackCredentials) => {
    const { TrackClient, options } = await loadClients(region, trackUrl, TIMEOUT_MS)
    return new TrackClient(siteId.reveal(), apiKey.reveal(), options)
  }
  const check = (credentials: TrackCredentials): Promise<TrackAnswer> =>
    toAnswer(async () => {
      const answer: Record<string, unknown> = await (await clientFor(credentials)).getAccountRegion()
      const { environment_id: workspace, region } = answer
      if (typeof workspace !== 'string' && typeof workspace !== 'number') {
        return { kind: 'unknown', why: 'an answer without environment_id' }
      }
      return { kind: 'accepted', workspace: String(workspace), region: String(region) }
    })
  return {
    check,
    identify: credentials =>
      toAnswer(async () => {
        const client = await clientFor(credentials)
        await client.identify(TEST_PERSON, { created_by: 'cio-webhook rotate' })
        await client.destroy(TEST_PERSON)
        return check(credentials)
      })
  }
}

async function toAnswer(request: () => Promise<TrackAnswer>): Promise<TrackAnswer> {
  try {
    return await request()
  } catch (error) {
    const statusCode = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
    if (statusCode === undefined) return { kind: 'unknown', why: causeOf(error) }
    if (statusCode === 401) return { kind: 'refused' }
    const hint = statusCode === 403 ? ' (is this address on the allow list of the account?)' : ''
    return { kind: 'unknown', why: `status ${statusCode}${hint}` }
  }
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  const code = errorCode(error.cause)
  if (code !== undefined) return code
  return error.name === 'TimeoutError'
    ? `no answer within ${TIMEOUT_MS / 1000} s`
    : 'an answer that is not JSON'
}
