/** The kinds of personal text that are masked in every string no field rule took; `url`: user info and tokens in URLs. */
export const allTextKinds = ['email', 'phone', 'card', 'ssn', 'url'] as const

export type TextKind = (typeof allTextKinds)[number]
