import type { Random } from '../../helpers/random.ts'

type Container = Record<string, unknown> | unknown[]
type Place = { readonly container: Container; readonly key: string | number }

/** Field names with a rule in the policy, in several spellings, and others. */
const names =
  'email|Email|email_address|recipient|to|content|subject|headers|href|password|ssn|creditCard|secret|customer_id|identifiers|id|recipients|device_id|email_hash|to_hash|_preserveEmail|event_id|object_type|metric|timestamp|data|name|x|toJSON|__proto_|length|ada@example.com'.split(
    '|'
  )
const values: readonly unknown[] = [
  null,
  true,
  0,
  -0.5,
  1e308,
  4111111111111111,
  5555555555554444,
  1795510800,
  '',
  ' ',
  'ada@example.com',
  '+1 415 555 0100',
  '\ud800',
  [],
  {},
  [[]],
  { email: 'ada@example.com' }
]

/** Changes one node of the JSON. @returns the same body if it is not JSON */
export function mutateJson(
  body: Buffer,
  other: Buffer,
  dictionary: readonly Buffer[],
  random: Random
): Buffer {
  const root = parsed(body)
  if (root === undefined) return body
  const place = random.pick(placesOf(root))
  const value = valueAt(place)
  const put = (what: unknown): void => set(place, what)
  switch (random.whole(0, 8)) {
    case 0:
      put(random.pick(values))
      break
    case 1:
      put({ [random.pick(names)]: value })
      break
    case 2:
      put([value, random.pick(values)])
      break
    case 3: {
      // Renames the field.
      if (!Array.isArray(place.container)) delete place.container[String(place.key)]
      set({ container: place.container, key: random.pick(names) }, value)
      break
    }
    case 4: {
      const donor = parsed(other)
      if (donor !== undefined) put(valueAt(random.pick(placesOf(donor))))
      break
    }
    case 5:
      set({ container: containerAt(place), key: random.pick(names) }, random.pick(values))
      break
    default:
      put(mutateText(typeof value === 'string' ? value : JSON.stringify(value ?? null), dictionary, random))
  }
  return Buffer.from(JSON.stringify(root))
}

function mutateText(text: string, dictionary: readonly Buffer[], random: Random): string {
  const at = random.whole(0, text.length + 1)
  const removed = random.whole(0, 3)
  const added = random.chance(0.7)
    ? random.pick(dictionary).toString()
    : String.fromCharCode(random.whole(0, 0x3010))
  return text.slice(0, at) + added + text.slice(at + removed)
}

function parsed(body: Buffer): Container | undefined {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null ? (value as Container) : undefined
  } catch {
    return undefined
  }
}

function placesOf(root: Container): readonly Place[] {
  const places: Place[] = [{ container: [root], key: 0 }]
  for (let at = 0; at < places.length && places.length < 500; at++) {
    const value = valueAt(places[at] as Place)
    if (typeof value !== 'object' || value === null) continue
    for (const key of Object.keys(value)) places.push({ container: value as Container, key })
  }
  return places.length > 1 ? places.slice(1) : [{ container: root, key: Array.isArray(root) ? 0 : 'data' }]
}

const valueAt = ({ container, key }: Place): unknown => Reflect.get(container, key)

function containerAt(place: Place): Container {
  const value = valueAt(place)
  return typeof value === 'object' && value !== null ? (value as Container) : place.container
}

function set({ container, key }: Place, value: unknown): void {
  if (Array.isArray(container)) container[/^\d+$/.test(String(key)) ? Number(key) : container.length] = value
  else Object.defineProperty(container, key, { value, writable: true, enumerable: true, configurable: true })
}
