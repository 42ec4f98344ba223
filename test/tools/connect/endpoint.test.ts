import t from 'tap'
import { isSameEndpoint, shownEndpoint, sourceOfEndpoint } from '../../../src/tools/connect/endpoint.ts'

const URL = 'https://hooks.example.com/api/cio/webhook'

const comparisons: readonly (readonly [other: string, same: boolean])[] = [
  [URL, true],
  [`${URL}/`, true],
  ['https://HOOKS.Example.com/api/cio/webhook', true],
  ['https://hooks.example.com:443/api/cio/webhook', true],
  [`${URL}#top`, true],
  ['http://hooks.example.com/api/cio/webhook', false],
  ['https://hooks.example.com:8443/api/cio/webhook', false],
  ['https://hooks.example.com/API/cio/webhook', false],
  [`${URL}/crm`, false],
  [`${URL}?a=1`, false],
  ['not a URL', false]
]
for (const [other, same] of comparisons) {
  t.test(`${other} is ${same ? 'the same endpoint' : 'another endpoint'}`, async t => {
    t.equal(isSameEndpoint(URL, other), same)
  })
}

t.test('the source of an endpoint is the last part of its path, also behind the path of a proxy', async t => {
  t.same(
    [
      URL,
      `${URL}/`,
      `${URL}/crm`,
      'https://example.com/hooks/api/cio/webhook/crm/',
      'https://example.com/hooks/cio',
      'https://example.com/api/cio/webhook/a/b'
    ].map(sourceOfEndpoint),
    ['default', 'default', 'crm', 'crm', undefined, undefined]
  )
})

t.test('a message shows no credentials of an endpoint', async t => {
  t.equal(shownEndpoint('https://user:pw@example.com:8443/a?token=x#y'), 'https://example.com:8443/a')
  t.equal(shownEndpoint('secret'), 'a text that is not a URL')
})
