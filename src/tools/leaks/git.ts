import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** A part of the search failed. The message is one line for the operator. */
export class ScanError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ScanError'
  }
}

/** One repository, as far as git is asked about it. */
export interface Git {
  /** All of the output, of a command that says little. @throws ScanError when git fails */
  readonly text: (...args: readonly string[]) => Promise<string>
  /** The output piece by piece; the input is written as git takes it. @throws ScanError when git fails */
  readonly stream: (args: readonly string[], input?: AsyncIterable<string>) => AsyncGenerator<Buffer>
}

/**
 * No setting of the repository may start a program (fsmonitor, signature checks), fetch, lock or hide anything:
 * `refs/replace` would show other objects than there are.
 */
const SAFE_ARGUMENTS = [
  '--no-replace-objects',
  '--no-optional-locks',
  '-c',
  'core.fsmonitor=false',
  '-c',
  'core.quotePath=false',
  '-c',
  'log.showSignature=false',
  '-c',
  'log.mailmap=false'
]
const MAX_STDERR_CHARACTERS = 4000

/** What git says which repository it is called in. A hook has them, and they would win over the folder. */
const LOCAL_VARIABLES =
  /^GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|GRAFT_FILE|SHALLOW_FILE|IMPLICIT_WORK_TREE)$/

/** Of our environment git gets what it needs, not the secrets. */
const PASSED_ON = /^(?:PATH|HOME|USERPROFILE|SystemRoot|TMPDIR|TEMP|TMP|XDG_CONFIG_HOME|GIT_.*)$/

/**
 * @param folder where git is called
 * @param keepsLocal may the environment name the repository? In a hook it names the index that is to be committed
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

  async function* stream(args: readonly string[], input?: AsyncIterable<string>): AsyncGenerator<Buffer> {
    const child = spawn('git', [...SAFE_ARGUMENTS, ...args], {
      cwd: folder,
      env: gitEnv,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe']
    })
    let complaint = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-MAX_STDERR_CHARACTERS)
    })
    const closed = new Promise<number | string>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    })
    // Whoever reads the output learns of it there; an error must not go unhandled meanwhile.
    const ended = closed.catch(() => {})
    const fed = input === undefined ? Promise.resolve() : feed(input)
    fed.catch(() => child.kill())
    try {
      for await (const piece of child.stdout ?? []) yield piece as Buffer
      await fed
      const code = await closed
      if (code !== 0) throw new ScanError(failure(args, complaint, code))
    } catch (cause) {
      if (cause instanceof ScanError) throw cause
      throw new ScanError(failure(args, complaint, cause instanceof Error ? cause.message : 'failed'), {
        cause
      })
    } finally {
      child.kill()
    }

    async function feed(lines: AsyncIterable<string>): Promise<void> {
      const { stdin } = child
      if (stdin === null) return
      // A git that ended early is told of by its exit code.
      let broken = false
      stdin.on('error', () => {
        broken = true
      })
      for await (const text of lines) {
        if (broken || child.exitCode !== null) return
        if (!stdin.write(text)) await Promise.race([once(stdin, 'drain'), ended])
      }
      stdin.end()
    }
  }
}

function failure(args: readonly string[], complaint: string, code: number | string): string {
  const said = complaint
    .split('\n')
    .filter(line => line.trim() !== '')
    .join('; ')
  return `git ${args.find(arg => !arg.startsWith('-'))} failed: ${said === '' ? code : said}`
}

/** Splits pieces of output at a byte. What stands behind the last one is given too, unless it is empty. */
export async function* splitAt(pieces: AsyncIterable<Buffer>, byte: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    let buffer = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    for (let at = buffer.indexOf(byte); at !== -1; at = buffer.indexOf(byte)) {
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
