// Stores a signing key in a file. Usage: node init-signing-key.js FILE [< KEY]
//
// Writes the key from standard input to FILE, and the key that it replaces to FILE_previous. Without a key on standard
// input, FILE stays as it is; on the first run it gets a random key. Prints what it did, never the key.
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { dirname } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { errorCode } from '../../errors.ts'
import { strayCharacters, withoutLineBreak } from './stray-characters.ts'

const [path, ...rest] = process.argv.slice(2)
if (path === undefined || rest.length > 0) {
  process.stderr.write('usage: node init-signing-key.js FILE [< KEY]\n')
  process.exit(2)
}
try {
  const input = withoutLineBreak((await buffer(process.stdin)).toString('utf8'))
  process.stdout.write(`${storeKey(path, input)}\n`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exit(2)
}

function storeKey(file: string, input: string): string {
  const problem = input === '' ? undefined : strayCharacters(input)
  if (problem !== undefined) throw new Error(`the key on standard input: ${problem}`)
  // An attacker could use a link to read the key, or to have it written elsewhere.
  if (!lstatSync(dirname(file)).isDirectory()) throw new Error(`${dirname(file)} is not a directory`)

  const stored = read(file)
  if (input === '' && stored !== '') return `${file}: the signing key of an earlier run stays`
  if (input === '') {
    replace(file, randomBytes(32).toString('hex'))
    return `${file}: a random signing key was generated`
  }
  if (input === stored) return `${file}: contains this key already`
  if (stored !== '') replace(`${file}_previous`, stored)
  replace(file, input)
  return `${file}: contains this key now${stored === '' ? '' : `, ${file}_previous the one before`}`
}

function read(file: string): string {
  let opened: number
  try {
    // Opening a pipe without a writer would block.
    opened = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT') return ''
    if (code === 'ELOOP') throw new Error(`${file} is a symbolic link: remove it`, { cause: error })
    throw error
  }
  try {
    if (!fstatSync(opened).isFile()) throw new Error(`${file} is not a regular file: remove it`)
    return withoutLineBreak(readFileSync(opened, 'utf8'))
  } finally {
    closeSync(opened)
  }
}

/** Atomic: a reader sees the old key or the new one. A link at this path is replaced, never followed. */
function replace(file: string, key: string): void {
  const temporary = `${file}.new`
  rmSync(temporary, { force: true })
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const opened = openSync(temporary, flags, 0o600)
  try {
    writeFileSync(opened, `${key}\n`)
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
  renameSync(temporary, file)
  const folder = openSync(dirname(file), constants.O_RDONLY)
  fsyncSync(folder)
  closeSync(folder)
}
