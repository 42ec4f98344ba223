import fc from 'fast-check'
import t from 'tap'
import { parseRedisUrl, type RedisServer } from '../../src/settings/redis-url.ts'
import { anyText } from '../helpers/any-text.ts'

const server = (url: string): RedisServer | string => {
  const parsed = parseRedisUrl(url)
  return 'problem' in parsed ? parsed.problem : parsed
}

t.test('each part of a Redis URL is read', async t => {
  const plain = {
    host: 'r',
    port: 6379,
    tls: false,
    username: undefined,
    password: undefined,
    database: 0
  }
  const rows: readonly (readonly [string, RedisServer])[] = [
    ['redis://r', plain],
    ['redis://r/', plain],
    ['redis://r/0', plain],
    ['redis://r:6380/3', { ...plain, port: 6380, database: 3 }],
    ['rediss://r', { ...plain, tls: true }],
    ['redis://[::1]:7/15', { ...plain, host: '::1', port: 7, database: 15 }],
    ['redis://:pw@r', { ...plain, username: '', password: 'pw' }],
    ['redis://bob:a:b@r', { ...plain, username: 'bob', password: 'a:b' }],
    [
      'redis://bob:p%40ss%23w%2Frd%3F%25@redis.prod-1.internal/2',
      { ...plain, host: 'redis.prod-1.internal', username: 'bob', password: 'p@ss#w/rd?%', database: 2 }
    ]
  ]
  for (const [url, expected] of rows) t.same(server(url), expected, url)
})

t.test('what is not known is refused, and the URL is not repeated', async t => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['redis://:hunter2@r/abc', /only a database number may follow the host/],
    ['redis://:hunter2@r/-1', /database number/],
    ['redis://:hunter2@r/1.5', /database number/],
    ['redis://:hunter2@r/03', /database number/],
    ['redis://:hunter2@r/3/', /database number/],
    ['redis://:hunter2@r/0/1', /database number/],
    ['redis://:hunter2@r//3', /database number/],
    ['redis://:hunter2@r?db=3', /query parameters/],
    ['redis://:hunter2@r/?family=6', /query parameters/],
    ['redis://:hunter2@r/3?', /query parameters/],
    ['redis://:hunter2@r/3#x', /fragments/],
    ['redis://:hunter2@r:0', /port must be a number from 1/],
    ['redis://:hunter2@r:65536', /port must be/],
    ['redis://:hunter2@r:', /it needs a host/],
    ['redis://:hunter2@', /it needs a host/],
    ['redis://:hunter2@[::1', /it needs a host/],
    ['redis://:hunter2@[1::2::3]', /it needs a host/],
    ['redis://:hunter2@a,b:1', /it needs a host/],
    ['redis:///3', /it needs a host/],
    ['redis://', /it needs a host/],
    ['redis:hunter2', /must begin with redis:/],
    ['REDISS://:hunter2@r', /must begin with redis:/],
    ['//:hunter2@r', /must begin with redis:/],
    ['unix:///hunter2', /must begin with redis:/],
    ['http://:hunter2@r', /must begin with redis:/],
    [' redis://:hunter2@r', /must begin with redis:/],
    ['redis://:hunter2@r/3\n', /database number/],
    ['redis://:hun\nter2@r', /encode the password/],
    ['redis://:hunter2@h o', /it needs a host/],
    ['redis://:hunter2%@r', /encode the password/],
    ['redis://:hunter2%zz@r', /encode the password/],
    ['redis://:hunter2%FF@r', /encode the password/]
  ]
  for (const [url, expected] of rows) {
    const problem = server(url)
    t.match(problem, expected, url)
    t.notMatch(problem, 'hunter2', `${url}: not repeated`)
  }
})

const anyPart = anyText({ maxLength: 20 })
/** A password that holds, among others, what ends a part of a URL. */
const password = fc
  .array(fc.oneof(anyPart, fc.constantFrom('@', '/', '?', '#', '%', ' ', '\\', '"', 'ü')), {
    minLength: 1,
    maxLength: 8
  })
  .map(parts => parts.join(''))
  .filter(text => text.isWellFormed())

t.test('an encoded password is read as it was meant', async () => {
  fc.assert(
    fc.property(password, password, fc.nat(99), (username, password, database) => {
      const login = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`
      const parsed = server(`redis://${login}@127.0.0.1:6380/${database}`)
      return (
        typeof parsed === 'object' &&
        parsed.username === username &&
        parsed.password === password &&
        parsed.host === '127.0.0.1' &&
        parsed.database === database
      )
    })
  )
})

t.test('a password that is not encoded is read as it was meant, or refused', async () => {
  fc.assert(
    fc.property(password, fc.nat(99), (password, database) => {
      const parsed = server(`redis://:${password}@127.0.0.1:6380/${database}`)
      if (typeof parsed === 'string') return parsed.includes('encode the password')
      // `%41` may be meant as it is, or as an A: nothing can tell.
      const meant = parsed.password === password || password.includes('%')
      return meant && parsed.host === '127.0.0.1' && parsed.database === database
    })
  )
})
