/** What was opened so far, closed in reverse order. */
export interface CloseStack {
  /** Call it as soon as something is open, with what closes it. */
  add(close: () => unknown): void
  /** Closes one after the other, the newest first, and all of them even if one fails. Calling it again does nothing. */
  close(): Promise<void>
}

export function createCloseStack(): CloseStack {
  const stack: (() => unknown)[] = []
  return { add: close => void stack.push(close), close: closeAll }

  async function closeAll(): Promise<void> {
    const newest = stack.pop()
    if (newest === undefined) return
    try {
      await newest()
    } finally {
      await closeAll()
    }
  }
}
