/** Runs jobs: those of one key one after the other, those of different keys concurrently. */
interface KeyedQueue<Job> {
  add(key: string, job: Job): void
  /** Resolves once no job is left. */
  idle(): Promise<void>
}

/** @param run runs one job; never rejects */
export function createKeyedQueue<Job>(run: (job: Job) => Promise<void>): KeyedQueue<Job> {
  const queues = new Map<string, Job[]>()
  const onIdle = new Set<() => void>()

  return {
    add: (key, job) => {
      const queue = queues.get(key)
      if (queue !== undefined) queue.push(job)
      else {
        queues.set(key, [job])
        void drain(key)
      }
    },
    idle: () =>
      new Promise(resolve => {
        if (queues.size === 0) resolve()
        else onIdle.add(resolve)
      })
  }

  async function drain(key: string): Promise<void> {
    for (let queue = queues.get(key) ?? []; queue.length > 0; queue = queues.get(key) ?? []) {
      queues.set(key, [])
      for (const job of queue) await run(job)
    }
    queues.delete(key)
    if (queues.size > 0) return
    for (const resolve of onIdle) resolve()
    onIdle.clear()
  }
}
