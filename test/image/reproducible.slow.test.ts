import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'
import { BUILD_TIMEOUT_MS, buildImage, docker, freshClone, inspect } from './docker.ts'

t.setTimeout(2 * BUILD_TIMEOUT_MS)

const UMASKS = ['022', '077'] as const
const imageOf = (umask: string): string => `cio-webhook-proof:umask-${umask}-${process.pid}`
const folder = temporaryFolder()
t.teardown(async () => {
  await docker('rmi', '--force', ...UMASKS.map(imageOf)).catch(() => {})
  rmSync(folder, { recursive: true })
})

t.test(
  'two builds from two clones of a commit have the same layers, whatever the umask of the clones',
  async t => {
    for (const umask of UMASKS) {
      const clone = join(folder, umask)
      await freshClone(clone, umask)
      await buildImage(imageOf(umask), clone, '--no-cache', '--build-arg', 'SOURCE_DATE_EPOCH=1764201600')
    }
    const [first, second] = await Promise.all(UMASKS.map(umask => inspect(imageOf(umask))))
    t.same(second?.RootFS.Layers, first?.RootFS.Layers)
    // Some engines name the intermediate image here, which has the time of its own build.
    t.same({ ...second?.Config, Image: '' }, { ...first?.Config, Image: '' })
  }
)
