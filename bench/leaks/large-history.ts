/*
 * Creates a repository of 50,000 commits with planted leaks and decoys, scans it with `cio-webhook leaks`, and reports
 * the leaks found and missed, false alarms, time and peak memory.
 *
 * npm run build:test && node build/bench/leaks/large-history.js [commits]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Finding } from '../../src/tools/leaks/finding.ts'
import { generateRepository } from '../../test/fixtures/generated-repository.ts'
import { plantDecoys, plantLeaks } from '../../test/fixtures/planted-leaks.ts'

const commits = Number(process.argv[2] ?? 50_000)
const folder = mkdtempSync(join(tmpdir(), 'large-history-'))
try {
  const planted = plantLeaks()
  const decoys = plantDecoys(planted, 10)
  const startedAtMs = performance.now()
  const repository = await generateRepository(join(folder, 'repository'), commits, planted, decoys)
  console.log(
    `created in ${seconds(startedAtMs)}`,
    repository.git('count-objects', '-v', '-H').replaceAll('\n', ', ')
  )

  const { findings, tookSeconds, cpuSeconds, peaksKib, exitCode, output } = await run(
    repository.folder,
    planted.env
  )
  const expected = planted.expected.map(leak =>
    leak.place === 'unreachable object' ? { ...leak, file: `blob ${repository.unreachable}` } : leak
  )
  const isMet = (finding: Finding, leak: (typeof expected)[number]): boolean =>
    finding.rule === leak.rule &&
    finding.place === leak.place &&
    finding.file === leak.file &&
    finding.encoding === leak.encoding &&
    (leak.line === undefined || finding.line === leak.line)
  const missed = expected.filter(leak => !findings.some(finding => isMet(finding, leak)))
  const mistaken = findings.filter(finding => !expected.some(leak => isMet(finding, leak)))
  const shown = planted.values.filter(value => output.includes(value))

  console.log(`commits        ${commits}`)
  console.log(`found          ${expected.length - missed.length} of ${expected.length}`)
  console.log(`false alarms   ${mistaken.length} of ${decoys.length} decoys`)
  console.log(`values shown   ${shown.length}`)
  console.log(`exit code      ${exitCode}`)
  console.log(`time           ${tookSeconds}; CPU time ${cpuSeconds.toFixed(1)} s, including git`)
  for (const [name, kib] of peaksKib) console.log(`peak memory    ${Math.round(kib / 1024)} MiB ${name}`)
  for (const leak of missed) console.log('missed', leak)
  for (const finding of mistaken) console.log('false alarm', finding)
  if (missed.length + mistaken.length + shown.length > 0) process.exitCode = 1
} finally {
  if (process.env['KEEP'] === undefined) rmSync(folder, { recursive: true, force: true })
  else console.log('kept', folder)
}

async function run(path: string, secrets: Readonly<Record<string, string>>) {
  const startedAtMs = performance.now()
  const cpuBefore = childrenCpuSeconds()
  const main = new URL('../../src/cli/main.js', import.meta.url).pathname
  const child = spawn(process.execPath, [main, 'leaks', path, '--json'], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], DATA_DIR: join(path, 'none'), ...secrets },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const peaksKib = new Map<string, number>()
  const sampling = setInterval(() => sample(child.pid ?? 0, peaksKib), 100)
  const pieces: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece))
  const [exitCode] = await once(child, 'close')
  clearInterval(sampling)
  const output = Buffer.concat(pieces).toString()
  const { findings } = JSON.parse(output) as { findings: Finding[] }
  return {
    findings,
    exitCode,
    output,
    peaksKib,
    tookSeconds: seconds(startedAtMs),
    cpuSeconds: childrenCpuSeconds() - cpuBefore
  }
}

/** Updates the peak resident memory of the command and of each git process it has started. */
function sample(pid: number, peaksKib: Map<string, number>): void {
  const children = readdirSync('/proc').filter(name => /^\d+$/.test(name) && parentOf(name) === pid)
  for (const id of [String(pid), ...children]) {
    const status = read(`/proc/${id}/status`)
    const name =
      id === String(pid)
        ? 'cio-webhook'
        : `git ${
            read(`/proc/${id}/cmdline`)
              .split('\0')
              .find(word => /^[a-z]+-[a-z]+$/.test(word)) ?? ''
          }`
    const kib = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0)
    peaksKib.set(name, Math.max(peaksKib.get(name) ?? 0, kib))
  }
}

/** CPU time of all finished child processes; Linux counts it in hundredths of a second. */
function childrenCpuSeconds(): number {
  const fields = read('/proc/self/stat')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[13]) + Number(fields[14])) / 100
}

function parentOf(id: string): number {
  return Number(/^PPid:\s+(\d+)/m.exec(read(`/proc/${id}/status`))?.[1] ?? 0)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`
}
