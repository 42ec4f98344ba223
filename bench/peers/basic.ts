import { createHash } from 'node:crypto'

const redacted: ReadonlySet<string> = new Set(['ssn', 'creditcard', 'password', 'secret'])

/** The PII policy `basic`, written as a team would for its own service. */
export function cleanBasic(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cleanBasic)
  if (typeof value !== 'object' || value === null) return value
  const keep = '_preserveEmail' in value && value._preserveEmail === true
  const clean: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value)) {
    const plain = name.toLowerCase().replace(/[_-]/g, '')
    if (redacted.has(plain)) clean[name] = '[REDACTED]'
    else if (plain === 'email' && !keep) clean['email_hash'] = hashAddress(field)
    else if (plain !== 'preserveemail') clean[name] = cleanBasic(field)
  }
  return clean
}

const hashAddress = (address: unknown): string =>
  createHash('sha256').update(String(address).trim().toLowerCase()).digest('hex')
