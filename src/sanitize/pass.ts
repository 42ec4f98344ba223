import type { GrowthBudget } from './growth-budget.ts'
import type { HashedValues } from './hashed-values.ts'
import type { RepeatedValues } from './repeated-values.ts'

/** One walk through one value. */
export type Pass = {
  /** `<object_type>.<metric>` */
  readonly event: string
  readonly budget: GrowthBudget
  /** The policy's text masks. */
  readonly maskText: (text: string) => string
  /** Only collects the values of hashed fields: hashes nothing, and what comes out is of no use. */
  readonly collectsOnly: boolean
  readonly hashed: HashedValues
  /** Error texts, masked. */
  readonly errorTexts: string[]
  /** Where a first walk would look for hashed values if it knew them: all texts and keys, and numbers of six digits. */
  readonly texts: string[]
  readonly numbers: string[]
  /** Masks hashed values in other strings; known only after a first walk. */
  readonly repeated: RepeatedValues | undefined
}

/** Where a string stands: in an id, a time or an event type; in an error text; anywhere else. */
export type Place = 'fixed' | 'error text' | 'other'
