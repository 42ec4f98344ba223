// Sees to it that a signing key lies in a file: usage: node keep-key.js FILE
//
// The key given as CIO_WEBHOOK_SECRET is put there; the one it replaces stays beside it as FILE_previous. Without
// one the file is left as it is, or gets a random key on the first run. Says what it did, never the key.
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

const [path] = process.argv.slice(2)
if (path === undefined) {
  process.stderr.write('usage: node keep-key.js FILE\n')
  process.exit(2)
}
process.stdout.write(`${keepKey(path, process.env['CIO_WEBHOOK_SECRET'] ?? '')}\n`)

function keepKey(file: string, given: string): string {
  const kept = existsSync(file) ? readFileSync(file, 'utf8').replace(/\r?\n$/, '') : ''
  if (given === '' && kept !== '') return `${file}: the signing key of an earlier run stays`
  if (given === '') {
    write(file, randomBytes(32).toString('hex'))
    return `${file}: a random signing key was made`
  }
  if (given === kept) return `${file}: holds the key of CIO_WEBHOOK_SECRET already`
  if (kept !== '') write(`${file}_previous`, kept)
  write(file, given)
  return `${file}: holds the key of CIO_WEBHOOK_SECRET now${kept === '' ? '' : `, ${file}_previous the one before`}`
}

/** In one step, so that who reads at this moment sees the old key or the new one. */
function write(file: string, key: string): void {
  const beside = `${file}.new`
  writeFileSync(beside, `${key}\n`, { mode: 0o600, flush: true })
  renameSync(beside, file)
}
