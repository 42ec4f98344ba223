// Builds the image before the tests do. Each of them builds it too, several at a time, and finds the layers in the engine's
// cache: otherwise they would install the npm packages at the same time. The stages stay in the cache without the image.
import { rmSync } from 'node:fs'
import { temporaryFolder } from '../helpers/server.ts'
import { buildImage, docker, freshClone } from './docker.ts'

const IMAGE = `cio-webhook-proof:layers-${process.pid}`

const folder = temporaryFolder()
try {
  await freshClone(folder)
  await buildImage(IMAGE, folder)
  await docker('rmi', IMAGE)
} finally {
  rmSync(folder, { recursive: true })
}
