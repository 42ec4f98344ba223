import { checkEntry, outputOf, type Reading, readings } from '../read-entry.ts'
import { bodies } from '../seeds.ts'
import type { Target } from '../target.ts'

/** Does not occur in events by chance. */
const TOKEN = 'cnry0a1b2c3d'
/** Personal data in any field. */
const personal = [`${TOKEN}@secret-host.example`, '+44 7700 900 8642', '4929 8642 8642 8643', '219-09-9642']
/** Must not be in the output. */
const traces = /cnry0a1b2c3d|900 8642|8642 8642|219-09-9642|0198642/i
const redacted = ['password', 'PASS-WORD', 'ssn', 'creditCard', 'Credit-Card', '_secret']
const ofCustomerio = ['content', 'Subject', 'headers', 'sub_ject']
const hashed = ['email', 'E_Mail', 'e-mail']
const alsoHashed = ['emailAddress', 'recipient', 'To', 'email_address']
/** Values that are hashed in a field and repeated elsewhere: the field, and the value as quoted in an error text. */
const repeated: readonly (readonly [field: Readonly<Record<string, unknown>>, quoted: string])[] = [
  [{ recipient: '5550198642' }, '5550198642'],
  [{ to: '+1 (555) 019-8642' }, '5550198642'],
  [{ to: 15550198642 }, '+15550198642'],
  [{ recipients: [{ device_id: `${TOKEN}:APA91b` }] }, `${TOKEN}:APA91b`],
  [{ recipient: `${TOKEN}.person@secret-host.example` }, `${TOKEN}.person`],
  [{ to: `Ada ${TOKEN} <ada@secret-host.example>` }, `Ada ${TOKEN} <ada@secret-host.example>`]
]
const ids = ['customer_id', 'userId', 'anonymous-id', 'event_id']
const before = ['', ' ', 'a ', '(', ': ', '\n', '<', ',', '; ', 'mailto:']
const after = ['', ' ', ' b', ')', ': ', '\n', '>', ',', ';', '?']

/** Uses bytes as choices, one after the other; 0 when there are none left. */
const chooser = (bytes: Buffer) => {
  let at = 0
  const next = (): number => bytes[at++] ?? 0
  return { next, pick: <T>(choices: readonly T[]): T => choices[next() % choices.length] as T }
}
type Chooser = ReturnType<typeof chooser>
type Container = Record<string, unknown> | unknown[]

const CHOICES = 12

export const target: Target = {
  shape: { prefixBytes: CHOICES, json: true, maxBytes: 4096 },
  seeds: bodies.flatMap((body, at) =>
    [0, 1, 2, 3, 4, 5].map(kind =>
      Buffer.concat([Buffer.of(at, at, at, at, at, kind, at, 0, at * kind, 0, 0, 0), body])
    )
  ),
  fuzz
}

/**
 * A personal value is planted in a JSON object from the fuzzer, which may then be truncated. It must not be in the
 * event, the id, the type or the partition key. The first 12 bytes are choices, the rest is the JSON.
 */
function fuzz(data: Buffer): void {
  const choose = chooser(data.subarray(0, CHOICES))
  const payload = parsed(data.subarray(CHOICES).toString('utf8'))
  if (payload === undefined || JSON.stringify(payload).includes('_preserveEmail')) return
  const reading = choose.pick(readings)
  plant(choose, containersOf(payload), reading)
  const whole = JSON.stringify(payload)
  const cut = choose.next() * 256 + choose.next()
  const body = cut === 0 ? whole : choose.next() % 2 === 0 ? whole.slice(0, cut % whole.length) : `x${whole}`
  const text = outputOf(checkEntry(reading, Buffer.from(body)))
  const left = traces.exec(text)
  if (left !== null) throw new Error(`${left[0]} is in the output\n${text}\nof\n${body}`)
}

function plant(choose: Chooser, containers: readonly Container[], { masksText }: Reading): void {
  const container = containers[choose.next() % containers.length] as Container
  const value = choose.next()
  const put = (name: string, what: unknown): void => {
    if (Array.isArray(container)) container.push({ [name]: what })
    else container[name] = what
  }
  const secret = [TOKEN, [TOKEN], { deep: [TOKEN] }, `\n"${TOKEN}\\`, { [TOKEN]: 1 }][value % 5]
  const address = [personal[0], [personal[0]], ` ${personal[0]?.toUpperCase()}`][value % 3]
  const text = `${choose.pick(before)}${choose.pick(personal)}${choose.pick(after)}`
  const kind = choose.next() % 6
  if (kind === 0) put(choose.pick(masksText ? [...redacted, ...ofCustomerio] : redacted), secret)
  else if (kind === 1) put(choose.pick(masksText ? [...hashed, ...alsoHashed] : hashed), address)
  else if (!masksText) put('password', text)
  else if (kind === 4) {
    const [field, quoted] = choose.pick(repeated)
    for (const [name, what] of Object.entries(field)) put(name, what)
    put('failure_message', `${choose.pick(before)}${quoted}${choose.pick(after)}`)
  } else if (kind === 5)
    put(choose.pick(ids), `${choose.pick(before)}${personal[value % 2]}${choose.pick(after)}`)
  else if (kind === 2) put(choose.pick(['failure_message', 'note', 'customer', 'x', 'name']), text)
  else put(choose.pick(['href', 'Href']), `https://example.com/${value}?u=${TOKEN}#${text}`)
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** At most about 64 objects and arrays, in which a value can be planted. */
function containersOf(root: Container): readonly Container[] {
  const found: Container[] = [root]
  for (let at = 0; at < found.length && found.length < 64; at++) {
    for (const child of Object.values(found[at] as Container)) {
      if (typeof child === 'object' && child !== null) found.push(child as Container)
    }
  }
  return found
}
