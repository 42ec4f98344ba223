/**
 * Runs steps one after the other, also after one of them failed: one part that is down must not stop the others.
 *
 * @throws the first error, after the last step
 */
export async function runAll(steps: Iterable<() => Promise<void>>): Promise<void> {
  const errors: unknown[] = []
  for (const step of steps) await step().catch(error => errors.push(error))
  if (errors.length > 0) throw errors[0]
}
