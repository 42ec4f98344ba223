// Draws docs/first-minute.svg, the terminal picture of the README, from a real run of the service on port 3000.
// Usage: node scripts/first-minute.mjs
//
// The output is real but shortened: without npm's own lines, log lines cut to one row, keys and hashes cut to 12
// digits. The picture therefore holds no usable key.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const PICTURE = 'docs/first-minute.svg'
const COMMANDS = [
  'npx cio-webhook send',
  'npx cio-webhook events --count 1',
  'npx cio-webhook events --count 1 --json'
]
const COLUMNS = 108
const START_TIMEOUT_MS = 60_000

const folder = mkdtempSync(join(tmpdir(), 'first-minute-'))
const dataDir = join(folder, 'data')
const env = { PATH: process.env.PATH, HOME: folder, DATA_DIR: dataDir }
try {
  writeFileSync(PICTURE, draw(await record()))
} finally {
  rmSync(folder, { recursive: true })
}

/** @returns for each terminal: its title, and its commands with what they printed */
async function record() {
  // A separate process group, so that the signal at the end reaches the service and not only npm.
  const service = spawn('npm', ['start'], { env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  // Not `exit`: npm can end before the service does, which still writes to the folder.
  const ended = new Promise(resolve => service.once('close', resolve))
  let output = ''
  service.stdout.on('data', chunk => {
    output += chunk
  })
  try {
    const deadline = performance.now() + START_TIMEOUT_MS
    while (!output.includes('"msg":"receiving"')) {
      if (performance.now() > deadline || service.exitCode !== null) {
        throw new Error(`npm start does not receive on port 3000:\n${output}`)
      }
      await sleep(100)
    }
    return [
      { title: '1. Start the service', steps: [{ command: 'npm start', output }] },
      {
        title: '2. In a second terminal, send a sample event and look at it in the log',
        steps: COMMANDS.map(run)
      }
    ]
  } finally {
    if (service.exitCode === null) process.kill(-service.pid, 'SIGTERM')
    await ended
  }
}

function run(command) {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command}: exit ${status}\n${stderr}`)
  return { command, output: stdout }
}

function draw(terminals) {
  const [fontSize, rowHeight, margin, titleHeight] = [13, 18, 16, 34]
  const width = Math.ceil(COLUMNS * fontSize * 0.605) + 2 * margin
  let y = 0
  const parts = terminals.map(({ title, steps }) => {
    const rows = steps.flatMap((step, index) => [...(index > 0 ? [{ text: '' }] : []), ...rowsOf(step)])
    const top = y
    const height = titleHeight + rows.length * rowHeight + margin
    y += height + margin
    const texts = rows.map(({ kind = 'output', text }, index) => {
      const content = escapeXml(text).replace(/^\$ /, '<tspan class="prompt">$ </tspan>')
      const baseline = top + titleHeight + (index + 1) * rowHeight - 4
      return text && `<text x="${margin}" y="${baseline}" class="${kind}">${content}</text>`
    })
    return [
      `<rect x="0.5" y="${top + 0.5}" width="${width - 1}" height="${height - 1}" rx="8"/>`,
      `<text x="${margin}" y="${top + 23}" class="title">${escapeXml(title)}</text>`,
      ...texts.filter(Boolean)
    ].join('\n')
  })
  // Its own dark background makes it readable on light and dark pages.
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y - margin}" viewBox="0 0 ${width} ${y - margin}" role="img" xml:space="preserve">
<title>The first minute with cio-webhook</title>
<desc>The service starts, a sample event is accepted, and the event is in the log without personal data.</desc>
<style>
rect { fill: #1e222a; stroke: #4a5160 }
text { font: ${fontSize}px ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; fill: #c8ccd4 }
.title { font-family: system-ui, sans-serif; font-weight: 600; fill: #8b93a5 }
.prompt { fill: #7fd18b }
.command { fill: #ffffff; font-weight: 600 }
</style>
${parts.join('\n')}
</svg>
`
}

/** @returns the rows of a command and its output */
function rowsOf({ command, output }) {
  const lines = shorten(output)
    .split('\n')
    .filter(line => !line.startsWith('> '))
  // At most one empty line in a row, none at the ends.
  const text = lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+|\s+$/g, '')
  return [
    ...wrap(`$ ${shorten(command)}`).map(row => ({ kind: 'command', text: row })),
    ...text
      .split('\n')
      .flatMap(line => (line.startsWith('{"level"') ? [cut(line)] : wrap(line)).map(row => ({ text: row })))
  ]
}

function cut(line) {
  return line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line
}

function shorten(text) {
  return text.replaceAll(dataDir, 'data').replace(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/g, '$1…')
}

/** Breaks a line at spaces; a longer word is broken anywhere. */
function wrap(line) {
  if (line.length <= COLUMNS) return [line]
  const space = line.lastIndexOf(' ', COLUMNS)
  const end = space > COLUMNS / 2 ? space + 1 : COLUMNS
  return [line.slice(0, end), ...wrap(line.slice(end))]
}

function escapeXml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
