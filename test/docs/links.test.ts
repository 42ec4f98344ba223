import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../..', import.meta.url))
/** Not written here, or made by a command. */
const NOT_OURS = new Set(['.git', '.tap', 'build', 'data', 'dist', 'node_modules'])
/** Paths in code spans: from the root of the repository, without placeholders and globs. */
const REPOSITORY_PATH = /^(?:\.ci|bench|deploy|docs|examples|scripts|src|test)\/[\w./-]*$/

interface Page {
  readonly path: string
  /** Without code blocks. */
  readonly text: string
}

const pages = markdownFiles('.').map(
  (path): Page => ({ path, text: readFileSync(join(root, path), 'utf8').replace(/^```[\s\S]*?^```$/gm, '') })
)

function markdownFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownFiles(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

/** The anchors of a page's headings, as GitHub and GitLab make them. */
function anchorsOf({ text }: Page): ReadonlySet<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of text.matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    const anchor = shown
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-')
    let unique = anchor
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`
    anchors.add(unique)
  }
  return anchors
}

/** The targets of links and pictures to files of the repository. */
function linksOf({ text }: Page): readonly string[] {
  const prose = text.replace(/(`+)[^`]+\1/g, '')
  return [...prose.matchAll(/\]\(<?([^)>\s]+)>?(?: "[^"]*")?\)/g)]
    .map(([, target = '']) => target)
    .filter(target => !/^[a-z][a-z0-9+.-]*:/i.test(target))
}

/** @returns what is wrong with a link, if anything */
function problemOf(page: Page, target: string): string | undefined {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page.path : relative(root, resolve(root, dirname(page.path), path))
  if (file.startsWith('..') || !existsSync(join(root, file))) return 'no such file'
  if (anchor === undefined) return undefined
  const linked = pages.find(({ path }) => path === file)
  return linked !== undefined && anchorsOf(linked).has(anchor) ? undefined : 'no such heading'
}

t.test('every link to a file of the repository, and every anchor, exists', async t => {
  const problems = pages.flatMap(page =>
    linksOf(page).flatMap(target => {
      const problem = problemOf(page, target)
      return problem === undefined ? [] : [`${page.path}: ${target}: ${problem}`]
    })
  )
  t.same(problems, [])
  t.ok(pages.flatMap(linksOf).length > 50, 'links were found')
})

t.test('every path in a code span exists', async t => {
  const problems = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/`([^`\n]+)`/g)]
      .map(([, code = '']) => code)
      .filter(code => REPOSITORY_PATH.test(code) && !existsSync(join(root, code)))
      .map(code => `${path}: ${code}`)
  )
  t.same(problems, [])
})

t.test('the map of the pages, and that of the decisions, name each page once', async t => {
  for (const folder of ['docs', join('docs', 'decisions')]) {
    const index = pages.find(({ path }) => path === join(folder, 'index.md'))
    const named = (index === undefined ? [] : linksOf(index)).filter(target => /^[\w-]+\.md$/.test(target))
    const files = readdirSync(join(root, folder)).filter(name => name.endsWith('.md') && name !== 'index.md')
    t.same([...named].sort(), files.sort(), folder)
  }
})
