import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

const SCRIPT = resolve('scripts/release-notes.mjs')

const CHANGELOG = `# Changes

## Unreleased

## 1.10.0 (2026-12-01)

Text.

### A part

More text.

## 1.1.0

Older text.
`

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'CHANGELOG.md'), CHANGELOG)

function notesOf(version: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, version], {
    cwd: folder,
    encoding: 'utf8'
  })
  return { status, stdout, stderr }
}

t.test('the notes of a version are its section of CHANGELOG.md, without the heading', async t => {
  t.same(notesOf('1.10.0'), { status: 0, stdout: 'Text.\n\n### A part\n\nMore text.\n', stderr: '' })
  t.same(notesOf('1.1.0'), { status: 0, stdout: 'Older text.\n', stderr: '' })
})

t.test('a version without a section, or with an empty one, has no notes and stops the release', async t => {
  const next = 'rename "## Unreleased", or describe what has changed\n'
  t.same(notesOf('1.1'), { status: 1, stdout: '', stderr: `CHANGELOG.md has no section "## 1.1": ${next}` })
  t.same(notesOf('Unreleased'), {
    status: 1,
    stdout: '',
    stderr: `CHANGELOG.md has nothing below "## Unreleased": ${next}`
  })
})
