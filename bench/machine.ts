import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { SYSTEM_PATH } from '../test/helpers/server.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly kernel: string
  /** Load averages at the end; the benchmark itself accounts for 2 to 3. */
  readonly load: readonly number[]
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    load: loadavg()
  }
}

export function describeVersions(): Record<string, string> {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  return {
    'cio-webhook': version,
    node: process.versions.node,
    fastify: installed('fastify'),
    bullmq: installed('bullmq'),
    redis: said('redis-server', ['--version'], /v=(\S+)/),
    nginx: said('nginx', ['-v'], /nginx\/(\S+)/),
    ngx_http_lua: said('dpkg-query', ['-W', '-f', '$' + '{Version}', 'libnginx-mod-http-lua'], /(\S+)/),

    go: said('go', ['version'], /go(\d\S+)/)
  }
}

/** Of the brokers that events are pushed to. */
export function describeBrokers(): Record<string, string> {
  return {
    nats: said('nats-server', ['--version'], /v(\d\S+)/),
    rabbitmq: said('dpkg-query', ['-W', '-f', '$' + '{Version}', 'rabbitmq-server'], /([\d.]+)/)
  }
}

/** One line above the figures of a benchmark: they differ between versions of Node. */
export function machineLine(): string {
  const { cpu, cores } = describeMachine()
  const redis = said('redis-server', ['--version'], /v=(\S+)/)
  return `${cpu}, ${cores} cores; Node ${process.versions.node}, Redis ${redis}; ${new Date().toISOString().slice(0, 10)}`
}

function installed(name: string): string {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as {
    version: string
  }
  return version
}

function said(command: string, args: string[], pattern: RegExp): string {
  const { stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: SYSTEM_PATH }
  })
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown'
}
