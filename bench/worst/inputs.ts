/** Builds a body of a given size from a short text. A body that is not JSON is not measured. */
type Shape = (unit: string, bytes: number) => string

export type Input = { readonly shape: ShapeName; readonly unit: string }

const fill = (unit: string, bytes: number): string =>
  unit.repeat(Math.ceil(bytes / Math.max(1, unit.length))).slice(0, bytes)

/** JSON values, separated by commas, up to a number of bytes. */
function list(bytes: number, item: (index: number) => string): string {
  const items: string[] = []
  for (let size = 0, index = 0; size < bytes; index++) {
    const text = item(index)
    items.push(text)
    size += text.length + 1
  }
  return items.join(',')
}

const quote = (text: string): string => JSON.stringify(text)

/** A prefix of `_` and `-`, different for each index: `_-email` and `-_email` are spellings of one name. */
const spelling = (index: number): string => index.toString(2).replace(/./g, bit => (bit === '1' ? '-' : '_'))

const shapes = {
  text: (unit, bytes) => quote(fill(unit, bytes)),
  'one string': (unit, bytes) => `{"note":${quote(fill(unit, bytes))}}`,
  'one key': (unit, bytes) => `{${quote(fill(unit, bytes))}:0}`,
  'one id': (unit, bytes) => `{"customer_id":${quote(fill(unit, bytes))}}`,
  'one URL': (unit, bytes) => `{"href":${quote(fill(unit, bytes))}}`,
  'one hashed value': (unit, bytes) => `{"to":${quote(fill(unit, bytes))},"failure_message":"x"}`,
  'error text with hashed values': (unit, bytes) =>
    `{"to":["5551234567","ada.lovelace@example.com","4-4-4-4-4-4-5"],"recipients":[{"device_id":"a:a:a:a:b"}],"failure_message":${quote(fill(unit, bytes))}}`,
  strings: (unit, bytes) => `{"list":[${list(bytes, index => quote(unit + index))}]}`,
  keys: (unit, bytes) => `{${list(bytes, index => `${quote(unit + index)}:0`)}}`,
  'spelled keys': (unit, bytes) => `{${list(bytes, index => `${quote(spelling(index) + unit)}:"a"`)}}`,
  'spelled keys and others': (unit, bytes) =>
    `{${list(bytes, index => `${quote(spelling(index) + unit)}:"a@b.example","x${index}":0`)}}`,
  'hashed list': (unit, bytes) => `{"email":[${list(bytes, index => quote(unit + index))}]}`,
  'hashed fields': (unit, bytes) => `{"list":[${list(bytes, index => `{"to":${quote(unit + index)}}`)}]}`,
  'repeated hashed values': (unit, bytes) =>
    `{"to":[${list(bytes / 2, index => quote(unit + long(index)))}],"list":[${list(bytes / 2, index => quote(unit + long(index)))}]}`,
  'hashed values, and one string': (unit, bytes) =>
    `{"to":[${list(bytes / 2, index => quote(unit.repeat((index % 50) + 1)))}],"note":${quote(fill(unit, bytes / 2))}}`,
  'kept JSON': (unit, bytes) =>
    `{"metric":"cio_subscription_preferences_changed","data":{"content":${quote(`{"a":${quote(fill(unit, bytes))}}`)}}}`,
  'kept list': (unit, bytes) =>
    `{"metric":"cio_subscription_preferences_changed","data":{"content":${quote(`[${list(bytes, () => unit)}]`)}}}`,
  values: (unit, bytes) => `{"list":[${list(bytes, () => unit)}]}`,
  nested: (unit, bytes) => `{"list":[${list(bytes, () => '['.repeat(40) + unit + ']'.repeat(40))}]}`
} satisfies Record<string, Shape>

/** The same number of digits in small and large inputs: short values are not searched for elsewhere in the event. */
const long = (index: number): number => 1_000_000 + index

export type ShapeName = keyof typeof shapes
export const shapeNames = Object.keys(shapes) as ShapeName[]

export const bodyOf = ({ shape, unit }: Input, bytes: number): string => shapes[shape](unit, bytes)

/** Texts that patterns and parsers treat specially; inputs are built from them. */
export const pieces: readonly string[] = [
  ...'4-|4 |4111 |4111.|41|0|00|00 1 |+|+1 |+1(|1 |12|123-45-|(|)|-|.|,|/|//|:|@|a@|a@b|.b|a.|a-|a|aA1|_|%|%25|%40|%2B|%2|\\|\\\\|\\n|\\u|\\u0040|&|&#|&#64;|&amp;|=|=40|<|>|"|\\"|?|#|[|]|{|}|[EMAIL]|é|٣|。|\ud800|😀|email|to|ssn|a:'.split(
    '|'
  ),
  ' ',
  '\n',
  '\t',
  '\u0000',
  '0.1',
  '1e5',
  '8202522731445525542',
  '[]',
  '{}',
  '""',
  '{"to":0}',
  '{"a":1.0}'
]

/** Inputs that once were slow or could be. */
export const seeds: readonly Input[] = [
  ...[
    '4-4-4-',
    '4111 1111 ',
    '1-',
    '%25',
    '\\',
    '&#',
    'a@',
    '@',
    'a.',
    '"',
    '<',
    '//',
    '+1 ',
    '00',
    '0 0 ',
    '=40',
    '\u0000'
  ].flatMap(unit =>
    (
      [
        'text',
        'one string',
        'one key',
        'one id',
        'one URL',
        'one hashed value',
        'error text with hashed values'
      ] as const
    ).map(shape => ({ shape, unit }))
  ),
  { shape: 'spelled keys and others', unit: 'email' },
  { shape: 'spelled keys', unit: 'ssn' },
  { shape: 'keys', unit: 'a@b.c' },
  { shape: 'keys', unit: '[EMAIL] ' },
  { shape: 'strings', unit: '+1415555' },
  { shape: 'hashed list', unit: '' },
  { shape: 'hashed fields', unit: '+1415555' },
  { shape: 'repeated hashed values', unit: '41555' },
  { shape: 'repeated hashed values', unit: 'a:a:' },
  { shape: 'hashed values, and one string', unit: 'a ' },
  { shape: 'hashed values, and one string', unit: '1 ' },
  { shape: 'kept JSON', unit: '\\"' },
  { shape: 'kept list', unit: '{"to":0}' },
  { shape: 'values', unit: '[]' },
  { shape: 'values', unit: '0.1' },
  { shape: 'values', unit: '1.0' },
  { shape: 'values', unit: '{"to":0}' },
  { shape: 'nested', unit: '0' }
]
