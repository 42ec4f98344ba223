import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Secret } from '../secret.ts'
import type { SigningKey } from '../settings/sources.ts'

/**
 * An encrypted body, in base64. The key is derived from a signing key of the source by HKDF-SHA256 with `salt`, and is
 * used once. The body can only be read with that signing key.
 */
export const sealedBodySchema = z.object({
  algorithm: z.literal('A256GCM'),
  /** Id of the signing key: see `Secret.id`. */
  keyId: z.string(),
  salt: z.string(),
  nonce: z.string(),
  /** Ciphertext, followed by the authentication tag. */
  sealed: z.string()
})
export type SealedBody = z.infer<typeof sealedBodySchema>

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Makes the derived key different from other uses of the signing key. */
const PURPOSE = 'cio-webhook parked delivery v1'

/** @param boundTo data that is authenticated together with the body; needed again to open it */
export function sealBody(body: Buffer, key: SigningKey, boundTo: string): SealedBody {
  const salt = randomBytes(SALT_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, derivedKey(key.secret, salt), nonce).setAAD(Buffer.from(boundTo))
  const ciphertext = cipher.update(body)
  cipher.final()
  return {
    algorithm: 'A256GCM',
    keyId: key.id,
    salt: salt.toString('base64'),
    nonce: nonce.toString('base64'),
    sealed: Buffer.concat([ciphertext, cipher.getAuthTag()]).toString('base64')
  }
}

/** @returns `undefined` if anything was changed, or the key is a different one */
export function openBody(
  { salt, nonce, sealed }: SealedBody,
  secret: Secret,
  boundTo: string
): Buffer | undefined {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < TAG_BYTES) return undefined
  try {
    const key = derivedKey(secret, Buffer.from(salt, 'base64'))
    const decipher = createDecipheriv(CIPHER, key, Buffer.from(nonce, 'base64'), { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(boundTo)).setAuthTag(bytes.subarray(-TAG_BYTES))
    const body = decipher.update(bytes.subarray(0, -TAG_BYTES))
    decipher.final()
    return body
  } catch {
    return undefined
  }
}

const derivedKey = (secret: Secret, salt: Buffer): Buffer =>
  Buffer.from(hkdfSync('sha256', secret.reveal(), salt, PURPOSE, KEY_BYTES))
