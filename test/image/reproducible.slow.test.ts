import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'
import { BUILD_TIMEOUT_MS, buildImage, docker, freshClone, inspect } from './docker.ts'

t.setTimeout(2 * BUILD_TIMEOUT_MS)

const images = ['first', 'second'].map(name => `cio-webhook-proof:${name}-${process.pid}`)
const folder = temporaryFolder()
t.teardown(async () => {
  await docker('rmi', '--force', ...images).catch(() => {})
  rmSync(folder, { recursive: true })
})

t.test('two builds from two clones of a commit have the same layers', async t => {
  for (const [number, image] of images.entries()) {
    const clone = join(folder, String(number))
    await freshClone(clone)
    await buildImage(image, clone, '--no-cache', '--build-arg', 'SOURCE_DATE_EPOCH=1764201600')
  }
  const [first, second] = await Promise.all(images.map(image => inspect(image)))
  t.same(second?.RootFS.Layers, first?.RootFS.Layers)
  // Some engines name the intermediate image here, which has the time of its own build.
  t.same({ ...second?.Config, Image: '' }, { ...first?.Config, Image: '' })
})
