import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../helpers/server.ts'

/** The clock on the wall, as a process sees it; the one that only counts what has passed is left alone. */
export interface Clock {
  /** What makes a process read this clock: Debian's libfaketime, loaded before all else. */
  readonly env: Readonly<Record<string, string>>
  /** From the next look on it is ahead of the true time by this much; behind, if negative. */
  set(aheadSeconds: number): void
  remove(): void
}

/**
 * `$LIB` is the loader's to fill in. The C library stands there too, so that its malloc comes before the one Redis
 * brings (jemalloc), which asks for the time before libfaketime is ready to tell it.
 */
const PRELOADED = '/usr/$LIB/faketime/libfaketimeMT.so.1 libc.so.6'

export function createClock(): Clock {
  const folder = temporaryFolder()
  const file = join(folder, 'ahead')
  const set = (aheadSeconds: number): void => {
    // As a whole or not at all: whoever reads half of it would see a time nobody set.
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
