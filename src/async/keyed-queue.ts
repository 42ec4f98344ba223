/** Jobs in lanes: those of one lane one after the other, lanes beside each other. */
export interface KeyedQueue<Job> {
  add(lane: string, job: Job): void
  /** Resolves once no lane has a job. */
  idle(): Promise<void>
}

/** @param run does one job; never rejects */
export function createKeyedQueue<Job>(run: (job: Job) => Promise<void>): KeyedQueue<Job> {
  const queues = new Map<string, Job[]>()
  const onIdle = new Set<() => void>()

  return {
    add: (lane, job) => {
      const queue = queues.get(lane)
      if (queue !== undefined) queue.push(job)
      else {
        queues.set(lane, [job])
        void drain(lane)
      }
    },
    idle: () =>
      new Promise(resolve => {
        if (queues.size === 0) resolve()
        else onIdle.add(resolve)
      })
  }

  async function drain(lane: string): Promise<void> {
    for (let queue = queues.get(lane) ?? []; queue.length > 0; queue = queues.get(lane) ?? []) {
      queues.set(lane, [])
      for (const job of queue) await run(job)
    }
    queues.delete(lane)
    if (queues.size > 0) return
    for (const resolve of onIdle) resolve()
    onIdle.clear()
  }
}
