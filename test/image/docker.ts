import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

const COMMAND_TIMEOUT_MS = 60_000
/** npm's packages come through the network, twice. */
export const BUILD_TIMEOUT_MS = 600_000

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly timeoutMs?: number
  /** What it reads on standard input. */
  readonly input?: string
}

/** @returns what the program printed, both streams apart. @throws with both when it ends with another code than 0 */
export async function command(
  program: string,
  args: readonly string[],
  { cwd, env, timeoutMs = COMMAND_TIMEOUT_MS, input = '' }: CommandOptions = {}
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const running = run(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: env ?? process.env,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024
  })
  running.child.stdin?.on('error', () => {}).end(input)
  return running
}

export async function docker(...args: readonly string[]): Promise<string> {
  return (await command('docker', args)).stdout.trim()
}

/** The builder that every engine has, so that nothing in the Dockerfile needs a newer one. */
export async function buildImage(tag: string, context: string, ...args: readonly string[]): Promise<void> {
  await command('docker', ['build', '--network', 'host', '--tag', tag, ...args, context], {
    env: { ...process.env, DOCKER_BUILDKIT: '0' },
    timeoutMs: BUILD_TIMEOUT_MS
  })
}

/** What the commit at hand holds and nothing else. @param umask the modes of files are part of the key of cached layers */
export async function freshClone(folder: string, umask: '022' | '077' = '022'): Promise<void> {
  await command('sh', ['-c', `umask ${umask} && git clone --quiet "$0" "$1"`, process.cwd(), folder])
}

export async function inspect(object: string): Promise<Inspection> {
  const [found] = JSON.parse(await docker('inspect', object))
  return found
}

/** As much of the answer of `docker inspect` as is looked at, of images and containers alike. */
export interface Inspection {
  readonly Size: number
  /** The digest of the content of each layer, for images. */
  readonly RootFS: { readonly Layers: readonly string[] }
  readonly State: {
    readonly Status: string
    readonly ExitCode: number
    readonly Pid: number
    readonly Health?: { readonly Status: string; readonly Log: readonly { readonly Output: string }[] }
  }
  readonly Config: {
    readonly User: string
    readonly Env: readonly string[]
    readonly Entrypoint: readonly string[]
    readonly Cmd: readonly string[]
    readonly StopSignal: string
    readonly ExposedPorts: Readonly<Record<string, unknown>>
    readonly Labels: Readonly<Record<string, string>>
  }
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean
    readonly CapDrop: readonly string[]
    readonly SecurityOpt: readonly string[]
  }
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { readonly HostIp: string }[] | null>>
  }
  readonly Mounts: readonly { readonly Type: string; readonly Destination: string; readonly RW: boolean }[]
}

/**
 * How often each text occurs in an image as it is shipped: every layer, what later ones cover included, the
 * configuration and the history.
 */
export async function occurrences(image: string, tar: string, texts: readonly string[]) {
  await docker('save', '--output', tar, image)
  const bytes = readFileSync(tar)
  return Object.fromEntries(texts.map(text => [text, count(bytes, Buffer.from(text))]))
}

function count(bytes: Buffer, text: Buffer): number {
  let found = 0
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + text.length)) found++
  return found
}
