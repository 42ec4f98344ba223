import { hash } from 'node:crypto'
import t from 'tap'
import { messageIdOf } from '../../src/dispatch/message-id.ts'

t.test(
  'the id of a message names the source if it is not the default one, and fits into a header',
  async t => {
    t.equal(messageIdOf({ id: 'e1', source: 'default' }), 'e1')
    t.equal(messageIdOf({ id: 'e1', source: 'crm' }), 'crm/e1')
    const long = 'e'.repeat(255)
    t.equal(messageIdOf({ id: long, source: 'default' }), long)
    t.equal(messageIdOf({ id: long, source: 'crm' }), hash('sha256', `crm/${long}`))
  }
)
