// Keeps a signing key in a file: usage: node init-signing-key.js FILE [< KEY]
//
// The key on standard input is put there; the one it replaces stays beside it as FILE_previous. Without one the file
// is left as it is, or gets a random key on the first run. Prints what it did, never the key.
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
import { strayCharacters } from './stray-characters.ts'

const [path, ...rest] = process.argv.slice(2)
if (path === undefined || rest.length > 0) {
  process.stderr.write('usage: node init-signing-key.js FILE [< KEY]\n')
  process.exit(2)
}
try {
  const given = withoutLineBreak((await buffer(process.stdin)).toString('utf8'))
  process.stdout.write(`${keepKey(path, given)}\n`)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exit(2)
}

function keepKey(file: string, given: string): string {
  const problem = given === '' ? undefined : strayCharacters(given)
  if (problem !== undefined) throw new Error(`the key on standard input: ${problem}`)
  // A link could have been put there to read the key, or to have it written elsewhere.
  if (!lstatSync(dirname(file)).isDirectory()) throw new Error(`${dirname(file)} is not a directory`)

  const kept = read(file)
  if (given === '' && kept !== '') return `${file}: the signing key of an earlier run stays`
  if (given === '') {
    replace(file, randomBytes(32).toString('hex'))
    return `${file}: a random signing key was made`
  }
  if (given === kept) return `${file}: holds the given key already`
  if (kept !== '') replace(`${file}_previous`, kept)
  replace(file, given)
  return `${file}: holds the given key now${kept === '' ? '' : `, ${file}_previous the one before`}`
}

function read(file: string): string {
  let opened: number
  try {
    // Not blocking: a pipe without a writer would be waited for.
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

/** In one step: a reader sees the old key or the new one. A link in the way is replaced, never followed. */
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

/** Less the one line break that editors and `echo` leave at the end. */
function withoutLineBreak(key: string): string {
  return key.replace(/\r?\n$/, '')
}
