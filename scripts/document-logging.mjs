// Writes the table of log messages in docs/logging.md, from the calls of the logger in src/.
// Usage: document-logging.mjs [--check]      --check writes nothing and fails if the page differs.
//
// Level, message and fields come from the source. The last two columns are written by hand and kept: by the message,
// or, when its words have changed, by its level and fields. A row without them has TODO, which --check refuses.
import { readFileSync, writeFileSync } from 'node:fs'
import ts from 'typescript'

const PAGE = 'docs/logging.md'
const START = '<!-- messages: written by npm run docs:logging, except for the last two columns -->'
const END = '<!-- /messages -->'
const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace']
/** Stands for a part of a message that is known only when it is logged. */
const GAP = '…'

const sources = ts.sys
  .readDirectory('src', ['.ts'])
  .sort()
  .map(path => ({ path, text: readFileSync(path, 'utf8') }))
const trees = new Map()

const page = readFileSync(PAGE, 'utf8')
const [before, afterStart] = page.split(START)
const [oldTable, after] = (afterStart ?? '').split(END)
if (after === undefined) throw new Error(`${PAGE} has no markers for the table of messages`)
const wanted = `${before}${START}\n\n${tableOf(withNotes(messages(), readRows(oldTable)))}\n\n${END}${after}`

if (!process.argv.includes('--check')) writeFileSync(PAGE, wanted)
else if (wanted !== page || /\| TODO \|/.test(wanted)) {
  const lines = new Set(page.split('\n'))
  const differing = wanted.split('\n').filter(line => !lines.has(line) || line.includes('| TODO |'))
  console.error(`${PAGE} is out of date: run npm run docs:logging`)
  for (const line of differing) console.error(line)
  process.exitCode = 1
}

/** The syntax trees of the files that contain `word`: parsing all of src/ takes seconds. */
function treesWith(word) {
  return sources
    .filter(({ text }) => text.includes(word))
    .map(({ path, text }) => {
      if (!trees.has(path)) trees.set(path, ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true))
      return trees.get(path)
    })
}

/** One row per message, the severest level first. */
function messages() {
  const rows = new Map()
  for (const file of new Set(['log.', 'log[', 'logger.', 'logger['].flatMap(treesWith))) {
    visit(file, node => ts.isCallExpression(node) && addCall(node))
  }
  return [...rows.values()].sort((a, b) => rank(a) - rank(b) || (a.message < b.message ? -1 : 1))

  function addCall(call) {
    const levels = levelsOf(call.expression)
    if (levels.length === 0) return
    const [first, second] = call.arguments
    const text = second ?? first
    const fields = second === undefined ? [] : fieldsOf(first)
    for (const message of textsOf(text) ?? [`${GAP} (${call.getSourceFile().fileName})`]) {
      const row = rows.get(message) ?? { message, levels: new Set(), fields: new Set() }
      for (const level of levels) row.levels.add(level)
      for (const field of fields) row.fields.add(field)
      rows.set(message, row)
    }
  }
}

function rank({ levels }) {
  return Math.min(...[...levels].map(level => LEVELS.indexOf(level)))
}

/**
 * Of `log.warn` and `log[isFull ? 'error' : 'warn']`, on a variable or property called `log` or `logger`.
 *
 * @throws Error if a level is known only when the line is logged
 */
function levelsOf(callee) {
  const isElement = ts.isElementAccessExpression(callee)
  if (!isElement && !ts.isPropertyAccessExpression(callee)) return []
  const { expression: target } = callee
  const name = ts.isPropertyAccessExpression(target) ? target.name.text : target.getText()
  if (!/^log(ger)?$/.test(name)) return []
  const levels = isElement ? textsOf(callee.argumentExpression) : [callee.name.text]
  if (levels === undefined) {
    throw new Error(`${callee.getSourceFile().fileName}: the level of ${callee.getText()} is not static`)
  }
  return levels.filter(level => LEVELS.includes(level))
}

/** The texts that an expression can be; `undefined` where that shows only when it runs. */
function textsOf(node) {
  if (ts.isStringLiteralLike(node)) return [node.text]
  if (ts.isTemplateExpression(node)) {
    const text = node.head.text + node.templateSpans.map(({ literal }) => GAP + literal.text).join('')
    return [text.replace(/…{2,}/g, GAP)]
  }
  if (ts.isConditionalExpression(node)) {
    const [yes, no] = [textsOf(node.whenTrue), textsOf(node.whenFalse)]
    return yes && no && [...yes, ...no]
  }
  if (!ts.isIdentifier(node)) return undefined
  const declaration = declarationOf(node)
  if (declaration === undefined) return undefined
  if (!ts.isBindingElement(declaration)) return declaration.initializer && textsOf(declaration.initializer)
  return propertyTexts(declaration)
}

/** Of `const { message } = warning(…)`: what the functions called there set `message` to. */
function propertyTexts(binding) {
  const property = (binding.propertyName ?? binding.name).getText()
  const variable = binding.parent.parent
  const source = variable.initializer ?? variable.parent.parent.expression
  const texts = []
  visit(source, node => {
    if (!ts.isCallExpression(node)) return
    for (const declaration of declarationsOf(node.expression.getText())) {
      visit(declaration, inner => {
        if (!ts.isPropertyAssignment(inner) || inner.name.getText() !== property) return
        const found = textsOf(inner.initializer) ?? []
        // Nearly all of it is known only when it is logged: named after its function.
        texts.push(
          ...found.map(text => (/\p{L}{3}/u.test(text) ? text : `${GAP} (${node.expression.getText()})`))
        )
      })
    }
  })
  return texts.length === 0 ? undefined : texts
}

/** Names of the fields of an object literal, or of the variable that holds one. */
function fieldsOf(node) {
  if (ts.isIdentifier(node)) {
    const declaration = declarationOf(node)
    if (declaration === undefined || declaration.initializer === undefined) return [GAP]
    return ts.isBindingElement(declaration) ? [GAP] : fieldsOf(declaration.initializer)
  }
  if (!ts.isObjectLiteralExpression(node)) return [GAP]
  return node.properties.map(property => (property.name === undefined ? GAP : property.name.getText()))
}

/** The nearest declaration of a name before its use in the same file, else the one that another file exports. */
function declarationOf(identifier) {
  const own = declarationsIn(identifier.getSourceFile(), identifier.text)
  const nearest = own.findLast(node => node.getStart() < identifier.getStart())
  if (nearest !== undefined) return nearest
  const all = declarationsOf(identifier.text)
  return all.length === 1 ? all[0] : undefined
}

function declarationsOf(name) {
  return treesWith(name).flatMap(file => declarationsIn(file, name))
}

function declarationsIn(file, name) {
  const found = []
  visit(file, node => {
    const declares =
      ts.isVariableDeclaration(node) || ts.isBindingElement(node) || ts.isFunctionDeclaration(node)
    if (declares && node.name?.getText() === name) found.push(node)
  })
  return found
}

function visit(node, act) {
  act(node)
  ts.forEachChild(node, child => visit(child, act))
}

function readRows(table) {
  return table
    .split('\n')
    .filter(line => /^\| [a-z]/.test(line) && !line.startsWith('| level '))
    .map(line => line.slice(2, -2).split(/(?<!\\) \| /))
    .map(([levels, message, fields, meaning, action]) => ({ levels, message, fields, meaning, action }))
}

function withNotes(rows, oldRows) {
  const cells = rows.map(({ message, levels, fields }) => ({
    levels: LEVELS.filter(level => levels.has(level)).join(', '),
    message: code(message),
    fields: [...fields].map(field => (field === GAP ? GAP : code(field))).join(', ')
  }))
  const unused = new Set(oldRows)
  const take = old => unused.delete(old) && old
  const byMessage = cells.map(({ message }) => take(oldRows.find(old => old.message === message)))
  const noted = cells.map((row, index) => {
    const old = byMessage[index] || take(reworded(row))
    return { ...row, meaning: old?.meaning ?? 'TODO', action: old?.action ?? 'TODO' }
  })
  for (const { message, meaning } of unused) console.error(`no longer logged: ${message}: ${meaning}`)
  return noted

  /** The old row of a message whose words have changed: by level and fields, and by words where several have those. */
  function reworded({ levels, message, fields }) {
    const alike = row => row.levels === levels && row.fields === fields
    const candidates = [...unused].filter(alike)
    const isAlone = cells.filter((row, index) => alike(row) && !byMessage[index]).length === 1
    if (candidates.length === 1 && isAlone) return candidates[0]
    const words = message.match(/\p{L}{5,}/gu) ?? []
    return candidates.find(old => words.some(word => old.message.includes(word)))
  }
}

function tableOf(rows) {
  const lines = rows.map(
    row => `| ${[row.levels, row.message, row.fields, row.meaning, row.action].join(' | ')} |`
  )
  return ['| level | message | fields | when | what to do |', '|---|---|---|---|---|', ...lines].join('\n')
}

function code(text) {
  const escaped = text.replaceAll('|', '\\|')
  return escaped.includes('`') ? `\`\` ${escaped} \`\`` : `\`${escaped}\``
}
