import { parseCommandLine, UsageError } from '../command.ts'

export const leaksUsage = `usage: cio-webhook leaks [PATH] [options]

Looks for credentials where none should be: the very secrets that the environment configures the service with
(plain, base64, URL-encoded, …), and keys of Customer.io by their shape and name. What is found is shown masked.

PATH (default .) is a repository, a folder, or a file. In a repository everything that git has is looked through:
all refs, deleted files, messages, reflogs, stashes and what nothing refers to any more, and the working tree
without what git ignores.

  --staged            only what is about to be committed: for a pre-commit hook
  --file FILE         a log or dump, - for standard input; may be given several times
  --stream            the event log in Redis and the parked deliveries; REDIS_URL and so on as for serve
  --ignored           in the working tree also what git ignores
  --incomplete        a shallow or partial clone will do: what is not here is not looked through

  --baseline FILE     accept what stands in FILE: values by fingerprint, each where it was found
  --write-baseline    write what is found to that file, for you to read and to say why
  --format FORMAT     human (default), json, or sarif (SARIF 2.1.0)
  --json              the same as --format json

With --file or --stream, PATH is looked through only if it is given.
Exit code: 0 nothing found, 1 something found, 2 not everything could be looked through.`

export type LeaksOptions = ReturnType<typeof readLeaksOptions>

/** What is to be looked through, and how it is told. @throws UsageError */
export function readLeaksOptions(args: readonly string[]) {
  const { values, positionals } = parseCommandLine({
    args: [...args],
    allowPositionals: true,
    options: {
      staged: { type: 'boolean', default: false },
      file: { type: 'string', multiple: true, default: [] },
      stream: { type: 'boolean', default: false },
      ignored: { type: 'boolean', default: false },
      incomplete: { type: 'boolean', default: false },
      baseline: { type: 'string' },
      'write-baseline': { type: 'boolean', default: false },
      format: { type: 'string' },
      json: { type: 'boolean', default: false }
    }
  })
  if (positionals.length > 1) throw new UsageError('give one PATH')
  const format = values.format ?? (values.json ? 'json' : 'human')
  if (format !== 'human' && format !== 'json' && format !== 'sarif') {
    throw new UsageError(`--format ${format}: give human, json, or sarif`)
  }
  if (values.json && format !== 'json') throw new UsageError('--json and --format differ: give one of them')
  if (values['write-baseline'] && values.baseline === undefined) {
    throw new UsageError('--write-baseline needs --baseline FILE, the file to write')
  }
  if (values.staged && (values.stream || values.file.length > 0)) {
    throw new UsageError('--staged looks through nothing else: leave out --file and --stream')
  }
  const path = positionals[0]
  const { staged, file: files, stream, ignored, incomplete, baseline } = values
  const isPathMeant = path !== undefined || (!stream && files.length === 0)
  return {
    path: isPathMeant ? (path ?? '.') : undefined,
    ...{ staged, files, stream, ignored, incomplete, baseline, format },
    writesBaseline: values['write-baseline']
  } as const
}
