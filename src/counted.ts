/**
 * A number with its noun, such as `1 delivery` or `1,200 deliveries`.
 *
 * @param plural if it is not the noun and an `s`
 */
export const counted = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count.toLocaleString('en-US')} ${count === 1 ? noun : plural}`
