import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** `src` of the compiled service, or of the repository when Node runs the TypeScript itself. */
const SRC = fileURLToPath(new URL('../../src', import.meta.url))
const EXTENSION = extname(import.meta.url)

/** Finds a node within a declaration. */
export interface Selector {
  /** For the error if it does not match exactly once. */
  readonly description: string
  /** @returns the node to replace, or `undefined` if this is not the wanted one */
  readonly match: (node: ts.Node) => ts.Node | undefined
}

/** A node of the syntax tree of a file in src. */
export interface Place {
  /** Without its extension. */
  readonly file: string
  /** The name of the function or constant that contains the node. */
  readonly declaration: string
  readonly selector: Selector
}

export interface Edit {
  readonly place: Place
  /** @param original the text of the node that is replaced */
  readonly replacement: (original: string) => string
}

/** A change of the service. */
export interface CodeChange {
  readonly name: string
  readonly edits: readonly Edit[]
}

/** The callee of a call: `a.b` in `a.b(c)`, for the name `b`. */
export const callee = (name: string): Selector => ({
  description: `call of ${name}`,
  match: node => {
    if (!ts.isCallExpression(node)) return undefined
    const { expression } = node
    const last = ts.isPropertyAccessExpression(expression) ? expression.name : expression
    return ts.isIdentifier(last) && last.text === name ? expression : undefined
  }
})

/** The value of a property in an object literal. */
export const property = (name: string): Selector => ({
  description: `property ${name}`,
  match: node => (ts.isPropertyAssignment(node) && nameOf(node) === name ? node.initializer : undefined)
})

/** A comparison with a variable on its right side. */
export const comparison = (name: string): Selector => ({
  description: `comparison with ${name}`,
  match: node =>
    ts.isBinaryExpression(node) && ts.isIdentifier(node.right) && node.right.text === name ? node : undefined
})

/** `b` in `a ? b : c` */
export const whenTrue: Selector = {
  description: 'conditional expression',
  match: node => (ts.isConditionalExpression(node) ? node.whenTrue : undefined)
}

/** The value of the declaration itself. */
export const value: Selector = {
  description: 'value',
  match: node => (ts.isVariableDeclaration(node) ? node.initializer : undefined)
}

/**
 * @returns the mutated files of src: path → text
 * @throws an error that names the mutation, if a place is not found exactly once or the result does not parse
 */
export function mutatedFiles({ name, edits }: CodeChange): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const { place, replacement } of edits) {
    const file = place.file + EXTENSION
    const text = files.get(file) ?? readFileSync(join(SRC, file), 'utf8')
    const node = find(place, ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true), name)
    files.set(file, text.slice(0, node.getStart()) + replacement(node.getText()) + text.slice(node.end))
  }
  for (const [file, text] of files) {
    const [error] =
      ts.transpileModule(text, {
        fileName: file,
        reportDiagnostics: true,
        compilerOptions: { allowJs: true }
      }).diagnostics ?? []
    if (error !== undefined) {
      throw new Error(
        `mutation ${name}: ${file} does not parse: ${ts.flattenDiagnosticMessageText(error.messageText, '\n')}`
      )
    }
  }
  return files
}

/** @returns the entry of a mutated copy of the compiled service, and a function that removes the copy */
export function mutate(mutation: CodeChange): { readonly main: string; remove(): void } {
  // In a sibling folder of the original, so that its imports still resolve.
  const folder = join(dirname(SRC), 'mutated', mutation.name)
  rmSync(folder, { recursive: true, force: true })
  cpSync(SRC, folder, { recursive: true })
  for (const [file, text] of mutatedFiles(mutation)) writeFileSync(join(folder, file), text)
  return {
    main: join(folder, 'cli/main.js'),
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}

function find({ file, declaration, selector }: Place, source: ts.SourceFile, mutation: string): ts.Node {
  const isDeclaration = (node: ts.Node): boolean =>
    (ts.isFunctionDeclaration(node) || ts.isVariableDeclaration(node)) && nameOf(node) === declaration
  const scopes = nodesIn(source, node => (isDeclaration(node) ? node : undefined))
  const scope = only(scopes, `declaration of ${declaration} in ${file}`)
  return only(nodesIn(scope, selector.match), `${selector.description} in ${declaration} in ${file}`)

  function only(found: readonly ts.Node[], what: string): ts.Node {
    const [node] = found
    if (node !== undefined && found.length === 1) return node
    throw new Error(`mutation ${mutation}: expected one ${what}, found ${found.length}`)
  }
}

function nodesIn(root: ts.Node, match: (node: ts.Node) => ts.Node | undefined): ts.Node[] {
  const found: ts.Node[] = []
  const visit = (node: ts.Node): void => {
    const matched = match(node)
    if (matched !== undefined) found.push(matched)
    ts.forEachChild(node, visit)
  }
  visit(root)
  return found
}

const nameOf = ({ name }: ts.NamedDeclaration): string | undefined =>
  name !== undefined && ts.isIdentifier(name) ? name.text : undefined
