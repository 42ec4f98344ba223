import { inspect } from 'node:util'
import type { Test } from 'tap'
import type { Sink } from '../../../src/dispatch/sink.ts'
import type { OutgoingEvent } from '../../../src/group/outgoing-event.ts'
import { outgoing, outgoingMany } from '../../helpers/outgoing.ts'
import { until } from '../../helpers/server.ts'

export interface Arrival {
  readonly id: string
  readonly event: string
}

export interface TraceHeaders {
  readonly traceparent?: string
  readonly tracestate?: string
}

/** @param headerOf the text of a header; '' or `undefined` if there is none */
export function traceHeadersOf(headerOf: (name: string) => string | undefined): TraceHeaders {
  const [traceparent, tracestate] = ['traceparent', 'tracestate'].map(headerOf)
  return { ...(traceparent && { traceparent }), ...(tracestate && { tracestate }) }
}

/** A sink and its target, and what the suite can do to the target. */
export interface SinkUnderTest {
  readonly sink: Sink
  /** All arrivals at the target so far, in order, with duplicates. */
  arrivals(): Promise<readonly Arrival[]>
  /** The headers of each arrival that belong to a trace. */
  traces(): Promise<readonly TraceHeaders[]>
  /** Stops the target. */
  stop(): Promise<void>
  /** Starts it again, with the data it had. */
  start(): Promise<void>
  /** The target keeps its connections, but no longer answers. */
  freeze(): Promise<void>
  thaw(): void
  /** Whether the order is kept across an outage of the target: not if each event is retried separately. */
  readonly keepsOrder: boolean
  /** Values that must not appear in an error. */
  readonly secrets: readonly string[]
  /** A sink with a wrong credential; `undefined` if the target needs none. */
  readonly unwelcome?: Sink
  close(): Promise<void>
}

const never = new AbortController().signal

/** The contract of every sink: see src/dispatch/sink.ts. */
export function sinkConformance(t: Test, open: () => Promise<SinkUnderTest>): void {
  const withSink = (name: string, run: (t: Test, under: SinkUnderTest) => Promise<void>): void => {
    t.test(name, async t => {
      const under = await open()
      try {
        await run(t, under)
      } finally {
        under.thaw()
        await under.sink.close()
        await under.unwelcome?.close()
        await under.close()
      }
    })
  }

  withSink('events arrive unchanged, each once, in order, over several calls', async (t, under) => {
    const batches = [outgoingMany('first', 50), outgoingMany('second', 1), outgoingMany('third', 100)]
    for (const batch of batches) t.same(await under.sink.publish(batch, never), [])
    const sent = batches.flat()
    await until('all have arrived', async () => (await under.arrivals()).length >= sent.length)
    t.same(await under.arrivals(), asArrivals(sent))
  })

  withSink('an event of a recorded trace has its headers, any other has none', async (t, under) => {
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`
    const rows: readonly (readonly [attributes: object, headers: TraceHeaders])[] = [
      [
        { traceparent, tracestate: 'vendor=1,other=a b' },
        { traceparent, tracestate: 'vendor=1,other=a b' }
      ],
      [{ traceparent }, { traceparent }],
      [{ traceparent, tracestate: 'vendor=1\r\nEvil: 1' }, { traceparent }],
      [{ traceparent, tracestate: 'vendor=\u00e9' }, { traceparent }],
      [{ traceparent, tracestate: 'v='.padEnd(513, 'x') }, { traceparent }],
      [{ traceparent, tracestate: ['vendor=1'] }, { traceparent }],
      [{ traceparent: traceparent.replace(/01$/, '00') }, {}],
      [{ traceparent: `${traceparent}\r\nEvil: 1` }, {}],
      [{ traceparent: [traceparent] }, {}],
      [{ tracestate: 'vendor=1' }, {}],
      [{}, {}]
    ]
    const events = rows.map(([attributes], index) =>
      outgoing(`traced-${index}`, undefined, undefined, attributes)
    )
    t.same(await under.sink.publish(events, never), [])
    await until('all have arrived', async () => (await under.arrivals()).length >= events.length)
    t.same(
      await under.traces(),
      rows.map(([, headers]) => headers)
    )
  })

  withSink('an event of another source than the default one has its name before the id', async (t, under) => {
    t.same(await under.sink.publish([outgoing('same'), outgoing('same', undefined, 'campaigns')], never), [])
    await until('both have arrived', async () => (await under.arrivals()).length >= 2)
    t.same((await under.arrivals()).map(({ id }) => id).sort(), ['campaigns/same', 'same'])
  })

  withSink('an empty call does nothing', async (t, under) => {
    t.same(await under.sink.publish([], never), [])
    t.same(await under.arrivals(), [])
  })

  withSink('a call resolves only after the target has the events', async (t, under) => {
    const [first, second] = [outgoingMany('before', 5), outgoingMany('frozen', 5)]
    await under.sink.publish(first, never)
    await under.freeze()
    let resolved = false
    const publication = untilPublished(under.sink, second).then(() => {
      resolved = true
    })
    await new Promise(resolve => setTimeout(resolve, 300))
    t.equal(resolved, false)
    under.thaw()
    await publication
    await until('all have arrived', async () => hasAll(await under.arrivals(), [...first, ...second]))
  })

  withSink('an outage of the target loses no event', async (t, under) => {
    const [before, during, after] = ['before', 'during', 'after'].map(name => outgoingMany(name, 20)) as [
      OutgoingEvent[],
      OutgoingEvent[],
      OutgoingEvent[]
    ]
    await under.sink.publish(before, never)
    await until('the first have arrived', async () => hasAll(await under.arrivals(), before))
    await under.stop()
    const publication = untilPublished(under.sink, during)
    await new Promise(resolve => setTimeout(resolve, 200))
    await under.start()
    await publication
    await untilPublished(under.sink, after)
    const sent = [...before, ...during, ...after]
    await until('all have arrived', async () => hasAll(await under.arrivals(), sent), 30_000)
    const firsts = [...new Map((await under.arrivals()).map(arrival => [arrival.id, arrival])).values()]
    if (under.keepsOrder) t.same(firsts, asArrivals(sent))
    else t.same(new Set(firsts.map(({ id }) => id)), new Set(sent.map(({ id }) => id)))
  })

  withSink('a call that is aborted rejects soon, even if the target does not answer', async (t, under) => {
    await under.sink.publish(outgoingMany('before', 1), never)
    await under.freeze()
    const giveUp = new AbortController()
    const startedMs = performance.now()
    const publication = under.sink.publish(outgoingMany('given-up', 3), giveUp.signal)
    giveUp.abort()
    await t.rejects(publication)
    t.ok(performance.now() - startedMs < 5000)
  })

  withSink(
    'a closed sink accepts no events, and closes even if the target does not answer',
    async (t, under) => {
      await under.sink.publish(outgoingMany('before', 1), never)
      await under.freeze()
      const startedMs = performance.now()
      await under.sink.close()
      t.ok(performance.now() - startedMs < 4000)
      under.thaw()
      await t.rejects(under.sink.publish(outgoingMany('late', 1), AbortSignal.timeout(3000)))
    }
  )

  withSink('a sink that is closed while it connects to a silent target ends soon', async (t, under) => {
    await under.freeze()
    const rejected = t.rejects(under.sink.publish(outgoingMany('early', 1), never))
    const startedMs = performance.now()
    await under.sink.close()
    t.ok(performance.now() - startedMs < 4000)
    await rejected
  })

  withSink('no error shows a secret or an event', async (t, under) => {
    const [event] = outgoingMany('canary', 1) as [OutgoingEvent]
    const errors: unknown[] = []
    const note = (error: unknown): void => void errors.push(error)
    if (under.unwelcome !== undefined) {
      await under.unwelcome.publish([event], never).catch(note)
      t.equal(errors.length, 1, 'a wrong credential is refused')
    }
    await under.sink.publish([event], never)
    await under.stop()
    await under.sink.publish([event], AbortSignal.timeout(1000)).catch(note)
    await under.start()
    const shown = inspect(errors, { depth: 10, showHidden: true })
    for (const hidden of [...under.secrets, 'canary']) t.notMatch(shown, hidden)
  })
}

/** Like the dispatcher: the same events again until they are accepted. */
async function untilPublished(sink: Sink, events: readonly OutgoingEvent[]): Promise<void> {
  await until(
    'published',
    () =>
      sink.publish(events, never).then(
        () => true,
        () => false
      ),
    40_000
  )
}

const asArrivals = (events: readonly OutgoingEvent[]): Arrival[] =>
  events.map(({ id, event }) => ({ id, event }))

function hasAll(arrivals: readonly Arrival[], events: readonly OutgoingEvent[]): boolean {
  const ids = new Set(arrivals.map(({ id }) => id))
  return events.every(({ id }) => ids.has(id))
}
