/** The kinds of personal text that are masked in strings without a field rule; `url`: user info and tokens in URLs. */
export const allTextKinds = ['email', 'phone', 'card', 'ssn', 'url'] as const

export type TextKind = (typeof allTextKinds)[number]
