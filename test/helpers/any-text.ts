import fc from 'fast-check'

const SURROGATES = 0x800
const codePoint = fc
  .integer({ min: 0, max: 0x10ffff - SURROGATES })
  .map(index => String.fromCodePoint(index < 0xd800 ? index : index + SURROGATES))

/**
 * Texts of any code points, without lone surrogates. A tenth are ASCII with words such as `__proto__`.
 * `fc.string({ unit: 'binary' })` first lists all of Unicode, which takes a second of CPU in each test file.
 */
export const anyText = (lengths: { readonly minLength?: number; readonly maxLength?: number } = {}) =>
  fc.oneof(
    { weight: 9, arbitrary: fc.string({ ...lengths, unit: codePoint }) },
    { weight: 1, arbitrary: fc.string(lengths) }
  )
