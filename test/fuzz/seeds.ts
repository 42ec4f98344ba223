import { documentedPairs, payloadOf } from '../fixtures/events.ts'

/** Valid events: one per object type, with personal data in every field that can contain it. */
export const bodies: readonly Buffer[] = documentedPairs.map(([objectType, metrics]) =>
  Buffer.from(JSON.stringify(payloadOf(objectType, metrics[0] ?? '', '01J8ZK6T9QW3E5R7Y1U2I3O4P5')))
)

/** Bodies that are not JSON objects: forms, XML, lines, multipart, JSON in a string, truncated JSON. */
export const texts: readonly Buffer[] = [
  'email=ada%40example.com&password=a+b&note=%2B14155550100',
  '<event><to>ada@example.com</to><note>x</note></event>',
  'to: ada@example.com\npassword: hunter2\n\nbody',
  '--b\r\nname="password"\r\n\r\nhunter2\r\n--b--',
  '{"email":"ada@example.com","note":"call +1 415 555',
  '"{\\"password\\":\\"hunter2\\"}"',
  '[{"to":"ada@example.com"}] x "content": {"a":[1,2',
  '%7B%22email%22%3A%22ada%40example.com%22%7D'
].map(text => Buffer.from(text))
