import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'

/** Resident memory of a process in MB; 0 if it does not exist. */
export function residentMb(pid: number): number {
  try {
    return Math.round(
      Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
    )
  } catch {
    return 0
  }
}

interface MemoryLimit {
  /** Does the kernel enforce the limit? Otherwise memory is only measured. */
  readonly enforced: boolean
  /** To be called after the process has exited. */
  remove(): void
}

/** Limits the memory of a process with a cgroup (as root): the kernel kills it beyond the limit, as in a container. */
export function limitMemory(pid: number, bytes: number): MemoryLimit {
  const [parent, file] = existsSync('/sys/fs/cgroup/memory')
    ? ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes']
    : ['/sys/fs/cgroup', 'memory.max']
  const folder = `${parent}/cio-webhook-${pid}`
  try {
    mkdirSync(folder)
    writeFileSync(`${folder}/${file}`, String(bytes))
    writeFileSync(`${folder}/cgroup.procs`, String(pid))
    return { enforced: true, remove: () => rmdirSync(folder) }
  } catch {
    return { enforced: false, remove: () => {} }
  }
}
