import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, statfsSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../helpers/server.ts'

/*
 * Disks that fail. Both need root, as `mount` does.
 */

/** What is still mounted when this process ends is let go. */
const mounted = new Set<string>()
process.once('exit', () => {
  for (const folder of mounted) run('umount', '-l', folder)
})

/** A disk that loses what was not written to it: a filesystem in a file. */
export interface FragileDisk {
  readonly folder: string
  /**
   * What the power going does: the file holds what has reached the disk, and nothing that only the kernel's cache
   * has. It is copied while `frozen`, its writer stopped; `release` ends the writer; then the copy is put in.
   */
  losePower(frozen: () => void, release: () => Promise<void>): Promise<void>
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
    losePower: async (frozen, release) => {
      frozen()
      const copy = `${image}.cut`
      run('cp', '--sparse=always', image, copy)
      await release()
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

/** A disk that is soon full. */
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
        // Redis was faster with the last of it: the disk is as full as it should be.
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
  if (process.getuid?.() !== 0) throw new Error('this one needs root: it mounts a disk of its own')
}

function unmount(folder: string): void {
  run('umount', folder)
  mounted.delete(folder)
}

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
  })
}
