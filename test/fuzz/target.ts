import { resolve } from 'node:path'
import type { Shape } from './loop/mutate.ts'

/** Code under fuzzing. */
export interface Target {
  readonly shape: Shape
  /** Inputs to start with, besides the corpus. */
  readonly seeds: readonly Buffer[]
  /** Throws if the code breaks a promise on this input. */
  readonly fuzz: (data: Buffer) => void
}

/** Each is a file in targets/. */
export const targetNames = ['signature', 'event', 'planted', 'masks', 'scale'] as const
export type TargetName = (typeof targetNames)[number]

export const isTargetName = (name: string): name is TargetName =>
  (targetNames as readonly string[]).includes(name)

/** The target's inputs in the repository. */
export const corpusFile = (name: TargetName): string => resolve('test/fuzz/corpus', `${name}.ndjson`)

/** Imports dynamically: the hooks that count coverage must be registered before the code is loaded. */
export async function loadTarget(name: TargetName): Promise<Target> {
  const module = (await import(`./targets/${name}.js`)) as { readonly target: Target }
  return module.target
}
