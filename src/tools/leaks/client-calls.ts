// Tested by test/tools/leaks/key-context.test.ts.

/** The names that a text uses for the clients of Customer.io's libraries. */
export interface ImportedClients {
  /** `APIClient` and the others, and their aliases. */
  readonly constructors: ReadonlySet<string>
  /** Variables that are passed to a constructor. */
  readonly variables: ReadonlySet<string>
}

/** `customerio-node` and `customerio` (npm, PyPI, RubyGems), Go's module, PHP's namespace. */
const IMPORT =
  /(?:\bfrom|\brequire|\bimport|\bload)\b[\s(]*["'`]customerio(?:-node)?(?:\/[\w/.-]*)?["'`]|^[ \t]*(?:from|import)[ \t]+customerio\b|["'`]github\.com\/customerio\/[\w./-]+["'`]|^[ \t]*use[ \t]+\\?Customerio\\/gim

const CLIENTS = ['TrackClient', 'APIClient', 'CustomerIO', 'NewTrackClient', 'NewAPIClient', 'RegionClient']

/** `APIClient as Mailer`, `APIClient: Mailer`, `Mailer = customerio.APIClient`. */
const RENAMED =
  /\b(?:TrackClient|APIClient|CustomerIO)\b(?:[ \t]+as[ \t]+|[ \t]*:[ \t]*)([A-Za-z_$][\w$]*)|\b([A-Za-z_$][\w$]*)[ \t]*=[ \t]*(?:[A-Za-z_$][\w$]*\.)*(?:TrackClient|APIClient|CustomerIO)\b(?![ \t]*\()/g
/** Classes of PHP: their names are too general without the namespace. */
const PHP_CLASS = /\buse[ \t]+\\?Customerio\\(\w+)(?:[ \t]+as[ \t]+(\w+))?/g
/** The whole module: in early versions it was the client. */
const WHOLE_MODULE =
  /\bimport[ \t]+([A-Za-z_$][\w$]*)[ \t]+from[ \t]*["'`]customerio|\b([A-Za-z_$][\w$]*)[ \t]*=[ \t]*(?:await[ \t]+import|require)[ \t]*\([ \t]*["'`]customerio/g

const CALL = /(?<![\w$])([A-Za-z_$][\w$]*)[ \t]*\(([^()]{1,400})\)/g
const VARIABLE = /(?:^|[,=:{]|\.)\s*([A-Za-z_$][\w$]*)\s*(?=[,}]|$)/g

/** How far before a value its call may start. */
const CALL_CHARACTERS = 1000
/** Functions that return their argument: the default for a variable of the environment. */
const RETURNS_ARGUMENT = /^(?:get_?env|env|get|fetch|str|String)$/i

/** @returns `undefined` if the text imports none of Customer.io's libraries */
export function importedClients(text: string): ImportedClients | undefined {
  if (text.search(IMPORT) === -1) return undefined
  const constructors = new Set(CLIENTS)
  for (const pattern of [RENAMED, WHOLE_MODULE, PHP_CLASS]) {
    for (const [, first = '', second = ''] of text.matchAll(pattern)) constructors.add(second || first)
  }
  const variables = new Set<string>()
  for (const [, name = '', args = ''] of text.matchAll(CALL)) {
    if (!constructors.has(name)) continue
    for (const [, variable = ''] of args.matchAll(VARIABLE)) variables.add(variable)
  }
  return { constructors, variables }
}

/** Whether the value after `left` is an argument of a client's constructor. */
export function isPassedToClient(left: string, { constructors }: ImportedClients): boolean {
  let depth = 0
  const start = Math.max(0, left.length - CALL_CHARACTERS)
  for (let index = left.length - 1; index >= start; index--) {
    const character = left[index]
    if (character === ')') depth++
    else if (character === '(' && depth > 0) depth--
    else if (character === '(') {
      const name = /([A-Za-z_$][\w$]*)\s*(?:<[^<>()]*>)?\s*$/.exec(
        left.slice(Math.max(0, index - 80), index)
      )?.[1]
      if (name !== undefined && constructors.has(name)) return true
      if (name === undefined || !RETURNS_ARGUMENT.test(name)) return false
    }
  }
  return false
}
