import { execFileSync } from 'node:child_process'

/** Runs git in one folder, and returns its output. */
export type Git = (...args: readonly string[]) => string

/** Makes a folder a repository with the branch `main`. */
export function initRepository(folder: string): Git {
  const git: Git = (...args) =>
    execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe']
    })
  git('init', '-q', '-b', 'main')
  return git
}
