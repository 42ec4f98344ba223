import type { Shape } from './loop/mutate.ts'

/** Something to be fuzzed. */
export interface Target {
  readonly shape: Shape
  /** Inputs to begin with, besides the corpus. */
  readonly seeds: readonly Buffer[]
  /** Throws where a promise is broken. */
  readonly fuzz: (data: Buffer) => void
}

/** Each is a file under targets/. */
export const targetNames = ['signature', 'event', 'planted', 'masks', 'scale'] as const
export type TargetName = (typeof targetNames)[number]

export const isTargetName = (name: string): name is TargetName =>
  (targetNames as readonly string[]).includes(name)

/** Imported by name: where coverage is counted, the hooks have to be there first. */
export async function loadTarget(name: TargetName): Promise<Target> {
  const module = (await import(`./targets/${name}.js`)) as { readonly target: Target }
  return module.target
}
