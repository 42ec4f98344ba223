import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../helpers/server.ts'

/** The system clock as seen by a process; its monotonic clock is not changed. */
interface Clock {
  /** Environment that makes a process use this clock: preloads Debian's libfaketime. */
  readonly env: Readonly<Record<string, string>>
  /** Sets the clock ahead of the true time, or behind it if negative. */
  set(aheadSeconds: number): void
  remove(): void
}

/**
 * The loader replaces `$LIB`. The C library is preloaded too, so that its malloc is used instead of jemalloc in Redis,
 * which reads the time before libfaketime is initialized.
 */
const PRELOADED = '/usr/$LIB/faketime/libfaketimeMT.so.1 libc.so.6'

export function createClock(): Clock {
  const folder = temporaryFolder()
  const file = join(folder, 'ahead')
  const set = (aheadSeconds: number): void => {
    // Atomically, since a process that reads half of it would see a wrong time.
    writeFileSync(`${file}.new`, `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}\n`)
    renameSync(`${file}.new`, file)
  }
  set(0)
  return {
    env: {
      LD_PRELOAD: PRELOADED,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1'
    },
    set,
    remove: () => rmSync(folder, { recursive: true })
  }
}
