import { withExactNumbers } from '../../src/exact-json.ts'
import { addressOf, textMask } from '../../src/sanitize/mask-text.ts'
import { basic, customerio, pipelines } from '../../src/sanitize/policy.ts'
import { compileSanitizer, type Sanitizer } from '../../src/sanitize/sanitize.ts'
import { allTextKinds } from '../../src/sanitize/text-kinds.ts'
import { cleanUrl } from '../../src/sanitize/url.ts'
import { readAs, readings } from '../../test/fuzz/read-entry.ts'
import type { ShapeName } from './inputs.ts'

/** Code whose CPU time must not grow faster than its input. */
export type Target = {
  readonly name: string
  /** Takes a text instead of a body. */
  readonly takesText: boolean
  /** Does the work that is not measured. @returns the work to measure */
  prepare(body: string): () => unknown
}

const ofText = (name: string, run: (text: string) => unknown): Target => ({
  name,
  takesText: true,
  prepare(body) {
    const text = String(JSON.parse(body))
    return () => run(text)
  }
})

const ofValue = (name: string, { value }: Sanitizer): Target => ({
  name: `sanitizer, ${name}`,
  takesText: false,
  prepare(body) {
    const json = withExactNumbers(JSON.parse(body), body)
    const bodyBytes = Buffer.byteLength(body)
    return () => value(json, { bodyBytes })
  }
})

const [reading] = readings

export const targets: readonly Target[] = [
  ofValue('customerio', compileSanitizer(customerio)),
  ofValue('customerio, hash key', compileSanitizer(customerio, { hashKey: 'a key for hashes' })),
  ofValue('pipelines', compileSanitizer(pipelines)),
  ofValue('basic', compileSanitizer(basic)),
  ...allTextKinds.map(kind => ofText(`text mask, ${kind}`, textMask([kind]))),
  ofText('text mask, all kinds', textMask(allTextKinds)),
  ofText('address of a text', addressOf),
  ofText('URL', cleanUrl),
  {
    name: 'exact numbers',
    takesText: false,
    prepare(body) {
      const json: unknown = JSON.parse(body)
      return () => withExactNumbers(json, body)
    }
  },
  {
    name: 'a complete delivery',
    takesText: false,
    prepare(body) {
      const bytes = Buffer.from(body)
      return () => reading && readAs(reading, bytes)
    }
  }
]

export const takes = (target: Target, shape: ShapeName): boolean => target.takesText === (shape === 'text')
