import { readFileSync } from 'node:fs'

/** The commands of a section of docs/runbook.md, one per line of its shell blocks. */
interface Section {
  /** Before "Do": they are run while the fault lasts. */
  readonly checks: readonly string[]
  /** From "Do" on: they are run once the fault is repaired. */
  readonly repairs: readonly string[]
}

export const PAGE = 'docs/runbook.md'

/** @throws if the page has no such section */
export function readSection(heading: string): Section {
  const sections = readFileSync(PAGE, 'utf8').split(/^###? /m)
  const section = sections.find(text => text.startsWith(`${heading}\n`))
  const [checks, repairs] = section?.split(/^- \*\*Do:\*\*/m) ?? []
  if (checks === undefined || repairs === undefined) throw new Error(`${PAGE} has no section ${heading}`)
  return { checks: commandsOf(checks), repairs: commandsOf(repairs) }
}

const commandsOf = (text: string): readonly string[] =>
  [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = '']) => block.trim().split('\n'))
