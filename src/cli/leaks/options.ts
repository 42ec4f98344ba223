// Tested by test/cli/leaks/refusals.slow.test.ts.
import { parseCommandLine, UsageError } from '../command.ts'

export const leaksUsage = `usage: cio-webhook leaks [PATH] [options]

Searches for credentials where they must not be: the secrets of this configuration (plain, base64, URL-encoded, …),
and keys of Customer.io by their shape and name. Values are printed masked.

PATH (default .) is a repository, a folder, or a file. In a repository, everything that git has is searched (all refs,
deleted files, messages, reflogs, stashes, unreachable objects), and the working tree without ignored files.

  --staged            only the staged changes: for a pre-commit hook
  --file FILE         a log or dump, - for standard input; can be repeated
  --stream            events and parked deliveries in Redis; REDIS_URL and so on as for serve
  --ignored           also files of the working tree that git ignores
  --incomplete        accept a shallow or partial clone: missing history is not searched

  --baseline FILE     accept the findings listed in FILE
  --write-baseline    write the findings to that file; then state in each entry why it is accepted
  --format FORMAT     human (default), json, or sarif (SARIF 2.1.0)
  --json              the same as --format json

With --file or --stream, PATH is searched only if it is given.
Exit code: 0 nothing found, 1 something found, 2 not everything could be searched.`

export type LeaksOptions = ReturnType<typeof readLeaksOptions>

/** @throws UsageError for a command line that makes no sense */
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
  if (positionals.length > 1) throw new UsageError('give only one PATH')
  const format = values.format ?? (values.json ? 'json' : 'human')
  if (format !== 'human' && format !== 'json' && format !== 'sarif') {
    throw new UsageError(`--format ${format}: give human, json, or sarif`)
  }
  if (values.json && format !== 'json') throw new UsageError('--json contradicts --format: give one of them')
  if (values['write-baseline'] && values.baseline === undefined) {
    throw new UsageError('--write-baseline needs --baseline FILE, the file to write')
  }
  if (values.staged && (values.stream || values.file.length > 0)) {
    throw new UsageError('--staged cannot be combined with --file or --stream')
  }
  const path = positionals[0]
  const { staged, file: files, stream, ignored, incomplete, baseline } = values
  return {
    path: path ?? (stream || files.length > 0 ? undefined : '.'),
    ...{ staged, files, stream, ignored, incomplete, baseline, format },
    writesBaseline: values['write-baseline']
  } as const
}
