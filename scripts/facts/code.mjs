// Reads from the source what the code assumes about Customer.io, with the line that a change has to be made in.
import { readFileSync } from 'node:fs'
import ts from 'typescript'

const EVENTS = 'src/consume/events.ts'
/** The tables beside the types of events: file, name of the constant. */
const tables = {
  hourStatuses: ['src/tools/doctor/expectations.ts', 'HOUR_STATUSES'],
  timeoutMs: ['src/tools/doctor/endpoint.ts', 'SENDER_TIMEOUT_MS'],
  objectTypes: ['src/event-types.ts', 'objectTypes'],
  addresses: ['src/receive/published-addresses.ts', 'publishedAddresses'],
  samples: ['src/tools/send/samples.ts', 'metrics']
}

/** @returns per table its `place` (`file:line`) and its literals as `values`, and the `events` of the consumer library */
export function codeFacts() {
  const found = Object.entries(tables).map(([fact, [file, name]]) => [fact, readTable(file, name)])
  return { ...Object.fromEntries(found), ...readEvents() }
}

function readTable(file, name) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
  const declaration = source.statements
    .filter(ts.isVariableStatement)
    .flatMap(statement => [...statement.declarationList.declarations])
    .find(candidate => candidate.name.getText() === name)
  if (declaration === undefined) throw new Error(`${file} has no ${name}: correct scripts/facts/code.mjs`)
  const values = []
  visit(declaration.initializer)
  return { place: placeOf(declaration), values }

  function visit(node) {
    if (ts.isStringLiteralLike(node)) values.push(node.text)
    else if (ts.isNumericLiteral(node)) values.push(Number(node.text))
    else ts.forEachChild(node, visit)
  }
}

/** The interface `DocumentedEvents`, as the compiler understands it: by `<object_type>.<metric>`, the fields by path. */
function readEvents() {
  // The types need nothing of a newer library, which would take seconds to read.
  const program = ts.createProgram([EVENTS], { strict: true, lib: ['lib.es5.d.ts'], types: [], noEmit: true })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(EVENTS)
  const declaration = source?.statements.find(
    node => ts.isInterfaceDeclaration(node) && node.name.text === 'DocumentedEvents'
  )
  if (declaration === undefined)
    throw new Error(`${EVENTS} has no DocumentedEvents: correct scripts/facts/code.mjs`)
  const events = new Map()
  for (const objectType of checker.getTypeAtLocation(declaration).getProperties()) {
    for (const metric of typeOf(objectType).getProperties()) {
      const place = placeOf(metric.declarations?.[0] ?? declaration)
      events.set(`${objectType.name}.${metric.name}`, { place, fields: flatten(typeOf(metric), 'data') })
    }
  }
  return { events, documentedEvents: { place: placeOf(declaration) } }

  function typeOf(symbol) {
    return checker.getTypeOfSymbolAtLocation(symbol, declaration)
  }

  function flatten(type, path, found = new Map()) {
    const objects = variantsOf(type).filter(
      variant => variant.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)
    )
    for (const name of new Set(
      objects.flatMap(object => object.getProperties().map(symbol => symbol.name))
    )) {
      const symbols = objects.map(object => object.getProperty(name))
      const types = symbols
        .filter(symbol => symbol !== undefined)
        .flatMap(symbol => variantsOf(typeOf(symbol)))
      // `delivery_id?: never` says that a variant does not have the field.
      if (types.length === 0) continue
      const isRequired = symbols.every(
        symbol => symbol !== undefined && !(symbol.flags & ts.SymbolFlags.Optional)
      )
      add(`${path}.${name}`, isRequired, types)
    }
    return found

    function add(field, isRequired, types) {
      found.set(field, { isRequired, kinds: new Set(types.map(kindOf)) })
      for (const variant of types) {
        const item = checker.isArrayType(variant) ? checker.getTypeArguments(variant)[0] : undefined
        if (item !== undefined) add(`${field}[]`, true, variantsOf(item))
        else flatten(variant, field, found)
      }
    }
  }

  function variantsOf(type) {
    const absent = ts.TypeFlags.Undefined | ts.TypeFlags.Never
    return (type.isUnion() ? type.types : [type]).filter(variant => !(variant.flags & absent))
  }

  function kindOf(type) {
    if (type.flags & ts.TypeFlags.StringLike) return 'string'
    if (type.flags & ts.TypeFlags.NumberLike) return 'number'
    if (type.flags & ts.TypeFlags.BooleanLike) return 'boolean'
    if (type.flags & ts.TypeFlags.Null) return 'null'
    return checker.isArrayType(type) ? 'array' : 'object'
  }
}

function placeOf(node) {
  const source = node.getSourceFile()
  return `${source.fileName}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
}
