import { readdirSync, readFileSync } from 'node:fs'

/** CPU time and memory of a process and all its descendants. */
interface Usage {
  readonly cpuSeconds: number
  readonly rssBytes: number
}

/** Linux reports hundredths of a second here, whatever the kernel's tick rate (proc(5), sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

/** Positions in /proc/<pid>/stat, counted from the field after the name in parentheses. */
const STAT = { utime: 11, stime: 12, rss: 21 } as const

export function usageOf(pid: number): Usage {
  const usages = [pid, ...descendants(pid)].map(usageOfOne)
  return {
    cpuSeconds: usages.reduce((sum, usage) => sum + usage.cpuSeconds, 0),
    rssBytes: usages.reduce((sum, usage) => sum + usage.rssBytes, 0)
  }
}

function usageOfOne(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const number = (position: number): number => Number(fields[position])
  return {
    cpuSeconds: (number(STAT.utime) + number(STAT.stime)) / TICKS_PER_SECOND,
    rssBytes: number(STAT.rss) * PAGE_BYTES
  }
}

function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap(thread =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  )
  return children.flatMap(child => [child, ...descendants(child)])
}

/** How long the main thread of a process was ready to run and had to wait for a processor, in seconds. */
export function cpuWaitSeconds(pid: number): number {
  const [, waitNs] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number)
  return (waitNs ?? 0) / 1e9
}

/** CPU time of all processes of the machine since it started, in seconds. */
export function machineCpuSeconds(): number {
  const [, user, nice, system, , , irq, softirq] = (
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? ''
  )
    .split(/\s+/)
    .map(Number)
  const ticks = [user, nice, system, irq, softirq].reduce<number>((sum, part) => sum + (part ?? 0), 0)
  return ticks / TICKS_PER_SECOND
}
