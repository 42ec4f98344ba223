import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'

/**
 * The rooms of src/ from top to bottom: a file may import from its own room and from those below it. Files directly
 * in src/ are in the room that names them.
 */
const rooms: readonly (readonly [room: string, ...files: string[]])[] = [
  ['cli'],
  ['top', 'app.ts', 'maintenance.ts', 'open-redis.ts', 'service.ts', 'stages.ts', 'workers.ts'],
  ['console'],
  ['tools'],
  ['dispatch'],
  ['consume'],
  ['group'],
  ['receive'],
  ['http'],
  ['customerio'],
  ['ops'],
  ['log'],
  ['redis'],
  ['settings'],
  ['sanitize'],
  ['async'],
  [
    'basics',
    'address.ts',
    'address-list.ts',
    'counted.ts',
    'duration.ts',
    'edit-distance.ts',
    'errors.ts',
    'event-types.ts',
    'exact-json.ts',
    'json-file.ts',
    'json-pointer.ts',
    'retry-after.ts',
    'secret.ts',
    'stored-json.ts',
    'trace-context.ts',
    'version.ts'
  ]
]

/** Programs, and a module that runs before any other. */
const entries = ['cli/main.ts', 'cli/serve/debug-variables.ts', 'ops/healthcheck.ts']

const MAX_LINES = 250

interface SourceFile {
  readonly lines: number
  /** The files it imports from, as paths below src/. Imports of types count. */
  readonly imports: readonly string[]
  readonly usesEnvironment: boolean
  /** Some function is in it, not only types and constants. */
  readonly hasLogic: boolean
  readonly firstLine: string
}

const files = new Map(
  readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.ts'))
    .sort()
    .map(path => [path, read(path)])
)

function read(path: string): SourceFile {
  const text = readFileSync(join('src', path), 'utf8')
  const imports = new Set<string>()
  let usesEnvironment = false
  let hasLogic = false
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest))
  const lines = text.split('\n')
  return {
    lines: lines.length - 1,
    imports: [...imports],
    usesEnvironment,
    hasLogic,
    firstLine: lines[0] ?? ''
  }

  function visit(node: ts.Node): void {
    const specifier = importedBy(node)
    if (specifier?.startsWith('.')) imports.add(posix.join(posix.dirname(path), specifier))
    usesEnvironment ||= specifier === 'node:process' || isEnvironment(node)
    hasLogic ||= ts.isFunctionDeclaration(node) || ts.isArrowFunction(node) || ts.isMethodDeclaration(node)
    ts.forEachChild(node, visit)
  }
}

function importedBy(node: ts.Node): string | undefined {
  let specifier: ts.Node | undefined
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) specifier = node.moduleSpecifier
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) specifier = node.argument.literal
  else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    specifier = node.arguments[0]
  }
  return specifier !== undefined && ts.isStringLiteral(specifier) ? specifier.text : undefined
}

function isEnvironment(node: ts.Node): boolean {
  if (!ts.isPropertyAccessExpression(node) || !ts.isIdentifier(node.expression)) return false
  return node.expression.text === 'process' && node.name.text === 'env'
}

/** Position of a file's room in the list; -1 for a file of an unlisted room. */
const levelOf = (file: string): number => {
  const [folder = '', ...rest] = file.split('/')
  return rooms.findIndex(([room, ...own]) => (rest.length > 0 ? room === folder : own.includes(folder)))
}

const imports = [...files].flatMap(([from, file]) => file.imports.map(to => ({ from, to })))

const printed = (edges: typeof imports): string[] => edges.map(({ from, to }) => `${from} -> ${to}`)

t.test('every import leads to a file', async t => {
  t.ok(imports.length > files.size, `${imports.length} imports of ${files.size} files were read`)
  t.same(printed(imports.filter(({ to }) => !files.has(to))), [])
})

t.test('every file belongs to a room of the list', async t => {
  t.same(
    [...files.keys()].filter(file => levelOf(file) === -1),
    []
  )
})

t.test('imports lead downwards only, so no two rooms import each other', async t => {
  t.same(printed(imports.filter(({ from, to }) => levelOf(to) < levelOf(from))), [])
})

t.test(
  'in the console, only server.ts imports from api and pages, which do not import each other',
  async t => {
    const partOf = (file: string) => /^console\/(?:api|pages)\//.exec(file)?.[0]
    t.same(
      printed(
        imports.filter(
          ({ from, to }) =>
            partOf(to) !== undefined && partOf(to) !== partOf(from) && from !== 'console/server.ts'
        )
      ),
      []
    )
  }
)

t.test('no cycle of imports between files', async t => {
  t.same(cycles(), [])
})

t.test('only the entries read process.env: every other file gets settings as arguments', async t => {
  t.same(
    [...files]
      .filter(([file, { usesEnvironment }]) => usesEnvironment && !entries.includes(file))
      .map(([file]) => file),
    []
  )
})

t.test(`no file has more than ${MAX_LINES} lines`, async t => {
  t.same(
    [...files].filter(([, { lines }]) => lines > MAX_LINES).map(([file, { lines }]) => `${file}: ${lines}`),
    []
  )
})

t.test('every file with logic has a test of its name, or its first line names the tests', async t => {
  const untested = [...files].filter(([file, { hasLogic, firstLine }]) => {
    const name = file.replace(/\.ts$/, '')
    const own = [`test/${name}.test.ts`, `test/${name}.slow.test.ts`]
    const named = /^\/\/ Tested by (.+)/.exec(firstLine)?.[1]?.match(/test\/[\w./-]*\w/g) ?? []
    return hasLogic && !own.some(existsSync) && !(named.length > 0 && named.every(path => existsSync(path)))
  })
  t.same(
    untested.map(([file]) => file),
    []
  )
})

/** One line per cycle that a depth-first search meets. */
function cycles(): string[] {
  const found: string[] = []
  const finished = new Set<string>()
  for (const file of files.keys()) search(file, [])
  return found

  function search(file: string, path: readonly string[]): void {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(' -> '))
    else if (!finished.has(file)) {
      for (const next of files.get(file)?.imports ?? []) search(next, [...path, file])
      finished.add(file)
    }
  }
}
