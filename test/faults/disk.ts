import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, statfsSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SYSTEM_PATH, temporaryFolder } from '../helpers/server.ts'

// Disks that fail. They need root, for `mount`.

/** Unmounted when this process exits. */
const mounted = new Set<string>()
process.once('exit', () => {
  for (const folder of mounted) run('umount', '-l', folder)
})

/** A disk that can lose power: a filesystem in a file. */
export interface FragileDisk {
  readonly folder: string
  /**
   * Simulates a power cut. The file contains only data that has reached the disk, not the kernel's cache. `freeze` stops
   * the writing process, the file is copied, `kill` ends the process, and the copy is mounted instead.
   */
  losePower(freeze: () => void, kill: () => Promise<void>): Promise<void>
  remove(): void
}

const DISK_BYTES = 512 * 1024 * 1024

export function makeFragileDisk(): FragileDisk {
  needRoot()
  const home = temporaryFolder()
  const image = join(home, 'disk.img')
  const folder = join(home, 'mounted')
  mkdirSync(folder)
  writeFileSync(image, '')
  truncateSync(image, DISK_BYTES)
  run('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=1', image)
  const mount = (): void => {
    run('mount', '-o', 'loop,noatime', image, folder)
    mounted.add(folder)
  }
  mount()
  return {
    folder,
    losePower: async (freeze, kill) => {
      freeze()
      const copy = `${image}.cut`
      run('cp', '--sparse=always', image, copy)
      await kill()
      unmount(folder)
      renameSync(copy, image)
      mount()
    },
    remove: () => {
      unmount(folder)
      rmSync(home, { recursive: true, force: true })
    }
  }
}

/** A disk that can be filled. */
export interface SmallDisk {
  readonly folder: string
  fill(): void
  free(): void
  remove(): void
}

export function makeSmallDisk(megabytes: number): SmallDisk {
  needRoot()
  const home = temporaryFolder()
  run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'cio-webhook-test', home)
  mounted.add(home)
  const folder = join(home, 'redis')
  mkdirSync(folder)
  const filler = join(home, 'filler')
  return {
    folder,
    fill: () => {
      const { bavail, bsize } = statfsSync(home)
      try {
        writeFileSync(filler, Buffer.alloc(bavail * bsize))
      } catch (error) {
        // Redis has used the last space meanwhile: the disk is full.
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
      }
    },
    free: () => unlinkSync(filler),
    remove: () => {
      unmount(home)
      rmSync(home, { recursive: true, force: true })
    }
  }
}

function needRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('this scenario needs root to mount a disk')
}

function unmount(folder: string): void {
  run('umount', folder)
  mounted.delete(folder)
}

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: SYSTEM_PATH }
  })
}
