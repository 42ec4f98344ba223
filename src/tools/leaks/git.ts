// Tested by test/tools/leaks/search.slow.test.ts.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ReportedError } from '../../errors.ts'

/** A part of the search failed. The message is one line for the operator. */
export class ScanError extends ReportedError {
  override readonly name = 'ScanError'
}

/** Runs git in one folder. */
export interface Git {
  /** The whole output, for commands with short output. @throws ScanError when git fails */
  readonly text: (...args: readonly string[]) => Promise<string>
  /** The output in pieces. The input is written as fast as git reads it. @throws ScanError when git fails */
  readonly stream: (args: readonly string[], input?: GitInput) => AsyncGenerator<Buffer>
}

type GitInput = AsyncIterable<Buffer | string> | Iterable<string>

/**
 * No setting of the repository may start a program (fsmonitor, signature checks), fetch, lock, or hide anything:
 * `refs/replace` would substitute objects.
 */
const SAFE_ARGUMENTS = [
  ...['--no-replace-objects', '--no-optional-locks'],
  ...['core.fsmonitor=false', 'core.quotePath=false', 'log.showSignature=false', 'log.mailmap=false'].flatMap(
    setting => ['-c', setting]
  )
]
const MAX_STDERR_CHARACTERS = 4000

/** Variables that select a repository. git sets them for hooks, and they take precedence over the folder. */
const LOCAL_VARIABLES =
  /^GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|GRAFT_FILE|SHALLOW_FILE|IMPLICIT_WORK_TREE)$/

/** Variables that git gets from our environment: what it needs, no secrets. */
const PASSED_ON = /^(?:PATH|HOME|USERPROFILE|SystemRoot|TMPDIR|TEMP|TMP|XDG_CONFIG_HOME|GIT_.*)$/

/**
 * @param folder where git runs
 * @param keepsLocal whether the environment may select the repository: in a hook it names the index to be committed
 */
export function openGit(folder: string, env: NodeJS.ProcessEnv, keepsLocal = false): Git {
  const passed = Object.entries(env).filter(
    ([name]) => PASSED_ON.test(name) && (keepsLocal || !LOCAL_VARIABLES.test(name))
  )
  const gitEnv: NodeJS.ProcessEnv = {
    ...Object.fromEntries(passed),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_LAZY_FETCH: '1',
    GIT_PAGER: 'cat'
  }
  return {
    text: async (...args) => {
      const pieces: Buffer[] = []
      for await (const piece of stream(args)) pieces.push(piece)
      return Buffer.concat(pieces).toString('utf8')
    },
    stream
  }

  async function* stream(args: readonly string[], input?: GitInput): AsyncGenerator<Buffer> {
    const child = spawn('git', [...SAFE_ARGUMENTS, ...args], {
      cwd: folder,
      env: gitEnv,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe']
    })
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-MAX_STDERR_CHARACTERS)
    })
    const closed = new Promise<number | string>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    })
    // The error is thrown after the output is read; until then it must not count as unhandled.
    const ended = closed.catch(() => {})
    const fed = input === undefined ? Promise.resolve() : feed(input)
    fed.catch(() => child.kill())
    try {
      for await (const piece of child.stdout ?? []) yield piece
      await fed
      const code = await closed
      if (code !== 0) throw new ScanError(failure(args, stderr, code))
    } catch (cause) {
      if (cause instanceof ScanError) throw cause
      const reason = cause instanceof Error ? cause.message : 'failed'
      throw new ScanError(failure(args, stderr, reason), { cause })
    } finally {
      child.kill()
    }

    async function feed(pieces: GitInput): Promise<void> {
      const { stdin } = child
      if (stdin === null) return
      // If git ended early, its exit code is reported.
      let broken = false
      stdin.on('error', () => {
        broken = true
      })
      for await (const piece of pieces) {
        if (broken || child.exitCode !== null) return
        if (!stdin.write(piece)) await Promise.race([once(stdin, 'drain'), ended])
      }
      stdin.end()
    }
  }
}

function failure(args: readonly string[], stderr: string, code: number | string): string {
  const reason = stderr
    .split('\n')
    .filter(line => line.trim() !== '')
    .join('; ')
  return `git ${args.find(arg => !arg.startsWith('-'))} failed: ${reason === '' ? code : reason}`
}

/** Splits output at a separator. The rest after the last separator is one more part, unless it is empty. */
export async function* splitAt(pieces: AsyncIterable<Buffer>, separator: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    let buffer = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    for (let at = buffer.indexOf(separator); at !== -1; at = buffer.indexOf(separator)) {
      yield buffer.subarray(0, at)
      buffer = buffer.subarray(at + 1)
    }
    rest = buffer
  }
  if (rest.length > 0) yield rest
}

export async function* textsOf(parts: AsyncIterable<Buffer>): AsyncGenerator<string> {
  for await (const part of parts) yield part.toString('utf8')
}
