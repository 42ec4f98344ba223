/**
 * Repeats what a busy machine can spoil, because it has a time limit that is not of the test.
 *
 * @returns the first result that is as expected, or the last one
 */
export async function repeat<T>(
  act: () => Promise<T>,
  isExpected: (result: T) => boolean,
  times = 4
): Promise<T> {
  let result = await act()
  for (let time = 1; time < times && !isExpected(result); time++) result = await act()
  return result
}
