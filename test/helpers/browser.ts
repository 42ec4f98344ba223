import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

/** axe-core, as text to run in a page: a policy without inline scripts does not apply to the test's own. */
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const SIZE = { width: 1280, height: 800 }

export interface PageOptions {
  readonly colours?: 'light' | 'dark'
  readonly javaScript?: boolean
  /** The test asks for pages with a status of 400 or more, which Chromium reports in its console. */
  readonly statusErrors?: boolean
}

export interface TestBrowser {
  /** A page with cookies of its own. What it complains about is collected until `expectCalm`. */
  open(options?: PageOptions): Promise<Page>
  /** Fails the test for errors of scripts, messages of the console and violations of the policy since the last call. */
  expectCalm(test: Test): void
}

/** Debian's Chromium, for one file of tests. Install it with `sh scripts/debian-packages.sh chromium`. */
export async function startBrowser(test: Test): Promise<TestBrowser> {
  const browser: Browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    // Root cannot use Chromium's sandbox. The pages are ours.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : []
  })
  test.teardown(() => browser.close())
  const complaints: string[] = []
  return {
    open: async ({ colours = 'light', javaScript = true, statusErrors = false } = {}) => {
      const context = await browser.newContext({
        colorScheme: colours,
        javaScriptEnabled: javaScript,
        viewport: SIZE,
        reducedMotion: 'reduce',
        locale: 'en-GB',
        timezoneId: 'UTC'
      })
      const page = await context.newPage()
      // Violations of the content security policy are messages of the console too.
      page.on('console', message => {
        if (statusErrors && message.text().startsWith('Failed to load resource')) return
        if (['error', 'warning'].includes(message.type())) complaints.push(`${page.url()}: ${message.text()}`)
      })
      page.on('pageerror', error => complaints.push(`${page.url()}: ${error.message}`))
      return page
    },
    expectCalm: t => {
      t.same(complaints.splice(0), [], 'no errors of scripts, no violations of the policy')
    }
  }
}

/** Fails the test for each violation that axe-core finds, and for a page that is wider than its window. */
export async function expectAccessible(test: Test, page: Page, name: string): Promise<void> {
  const found = await page.evaluate(`${AXE}; axe.run().then(({ violations }) =>
    violations.map(({ id, help, nodes }) => [id, help, ...nodes.slice(0, 3).map(node => node.html)].join(' | ')))`)
  test.same(found, [], `${name}: axe finds no violation`)
  const overflow = await page.evaluate(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth'
  )
  test.equal(overflow, 0, `${name}: nothing beyond the right edge`)
}

/** With SCREENSHOTS=1: writes docs/images/console-<name>.png, always of the same size. @param height in pixels */
export async function screenshot(
  page: Page,
  name: string,
  { height = SIZE.height }: { readonly height?: number } = {}
): Promise<void> {
  if (process.env['SCREENSHOTS'] !== '1') return
  await page.setViewportSize({ ...SIZE, height })
  await page.screenshot({ path: `docs/images/console-${name}.png`, animations: 'disabled', caret: 'hide' })
}
