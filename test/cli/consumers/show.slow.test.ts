import t from 'tap'
import { deliveryBody as body, openConsumers } from '../../helpers/consumers.ts'
import { WEBHOOK_SECRET } from '../../helpers/consumers-file.ts'
import { answers } from '../../helpers/receiver.ts'
import { until } from '../../helpers/server.ts'

t.setTimeout(600_000)

t.test('show, pause and resume', async t => {
  const { redis, receiver, service, run, json } = await openConsumers(t)

  await t.test('show prints settings without secrets, times, dead letters and attempts', async t => {
    await service.post(body('good'))
    await until('delivered', async () => receiver.requests.length === 1)
    receiver.behave(answers(503))
    await service.post(body('bad'))
    const { code, value } = await until('a dead letter and its attempts', async () => {
      const shown = await json('consumers', 'show', 'crm')
      const { dead, attempts, lastFailure, lastSuccessAtMs } = shown.value
      // Attempts and the state of a consumer are written by separate calls.
      const isRecorded = lastFailure !== undefined && lastSuccessAtMs !== undefined
      return dead === 1 && attempts.length === 3 && isRecorded && shown
    })
    t.equal(code, 1)
    t.match(value, {
      name: 'crm',
      type: 'http',
      state: 'failing',
      settings: { url: receiver.url, maxAttempts: 2 },
      deadByReason: { failed: 1 },
      lastFailure: 'status 503',
      lastSuccessAtMs: Number
    })
    t.match(
      value.attempts.map(({ eventId, answer, attempt }: Record<string, unknown>) => [
        eventId,
        attempt,
        answer
      ]),
      [
        ['bad', 2, '503'],
        ['bad', 1, '503'],
        ['good', 1, '200']
      ]
    )
    const { output } = await run('consumers', 'show', 'crm')
    t.match(output, /^crm\n {2}type +http\n {2}state +failing since \d{4}-\S+Z \(\d+ s ago\)\n/)
    t.match(output, /\n {2}dead letters +1: 1 failed\n/)
    t.match(output, /\nnewest attempts\n {2}TIME +EVENT +ATTEMPT +OUTCOME +ANSWER +MS\n/)
    t.notMatch(output + JSON.stringify(value), WEBHOOK_SECRET.slice(6))
    for (const line of (await run('consumers')).output.split('\n')) t.ok(line.length <= 100, line)
  })

  await t.test('a paused consumer gets nothing until it is resumed', async t => {
    receiver.behave(answers(200))
    t.match(await run('consumers', 'pause', 'crm'), { code: 0, output: /^crm paused: / })
    const again = /^crm was paused already: nothing changed\. Continue: /
    t.match(await run('consumers', 'pause', 'crm'), { code: 0, output: again })
    await new Promise(resolve => setTimeout(resolve, 2500))
    const before = receiver.requests.length
    await service.post(body('waits'))
    const list = await run('consumers')
    t.match(list, { code: 1, output: /^crm +http +paused \d+ s /m })
    t.equal(receiver.requests.length, before)
    t.match(await run('consumers', 'resume', 'crm'), { code: 0, output: /^crm resumed: / })
    await until('delivered', async () => receiver.requests.length === before + 1)
    t.match((await json('consumers', 'resume', 'crm')).value, { resumed: 'crm', changed: false })
    t.match((await run('consumers', 'enable', 'crm')).output, 'crm was not disabled: nothing changed')
  })

  await t.test('a plain group cannot be paused or tested, and a misspelt name is recognized', async t => {
    await redis.client.xgroup('CREATE', 'cio:events:{0}', 'plain', '0')
    for (const action of ['pause', 'resume', 'test', 'enable']) {
      t.match(await run('consumers', action, 'plain'), { code: 2, output: /plain is not in CONSUMERS_FILE/ })
    }
    t.match(await run('consumers', 'show', 'cmr'), {
      code: 2,
      output: 'unknown consumer "cmr": did you mean crm?'
    })
    t.match(await run('consumers', 'show', 'other'), { code: 2, output: 'known consumers are crm, plain' })
  })
})
