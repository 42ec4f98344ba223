// Tested by test/console/browser.slow.test.ts and test/console/access.test.ts.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { version } from '../version.ts'
import { assetPath } from './assets.ts'
import { form } from './components.ts'
import { type Html, html } from './html.ts'
import { sessionOf } from './sessions.ts'

/** The pages of the navigation, in its order. */
const navigation = [
  { path: '/', label: 'Overview' },
  { path: '/events', label: 'Events' },
  { path: '/consumers', label: 'Consumers' },
  { path: '/parked', label: 'Parked' },
  { path: '/sources', label: 'Sources' },
  { path: '/audit', label: 'Audit' }
] as const

export type NavigationPath = (typeof navigation)[number]['path']

interface PageOptions {
  readonly title: string
  /** The entry of the navigation that the page belongs to. */
  readonly current?: NavigationPath
  readonly status?: number
}

const THEMES = ['light', 'dark'] as const

/** Sends a whole page around `body`. */
export function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  options: PageOptions,
  body: Html
): FastifyReply {
  const { text } = layout(request, options, body)
  return reply
    .code(options.status ?? 200)
    .type('text/html; charset=utf-8')
    .send(`<!doctype html>${text}`)
}

/**
 * The scripts of htmx are not deferred: htmx would start as soon as it has run, at times before its extension has, and
 * live updates would then never begin.
 */
function layout(request: FastifyRequest, { title, current }: PageOptions, body: Html): Html {
  const theme = THEMES.find(name => name === request.cookies['cio_theme']) ?? 'auto'
  return html`<html lang="en" data-theme="${theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="htmx-config" content='{"includeIndicatorCSS":false,"extensions":"sse","history":false}'>
<title>${title} – cio-webhook</title>
<link rel="icon" href="${assetPath('mark.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${assetPath('console.css')}">
<script src="${assetPath('htmx.js')}"></script>
<script src="${assetPath('htmx-sse.js')}"></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<a class="brand" href="/"><img src="${assetPath('mark.svg')}" alt="" width="28" height="28">cio-webhook</a>
${request.person === undefined ? undefined : navigationBar(current)}
<div class="me">${whoAmI(request)}</div>
</header>
<main id="main" tabindex="-1"><h1>${title}</h1>
${body}
</main>
<footer class="foot"><span>cio-webhook ${version}</span>${themeSwitch(request)}</footer>
</body>
</html>`
}

function navigationBar(current: NavigationPath | undefined): Html {
  return html`<nav aria-label="Console"><ul>${navigation.map(
    ({ path, label }) =>
      html`<li><a href="${path}"${path === current ? html` aria-current="page"` : undefined}>${label}</a></li>`
  )}</ul></nav>`
}

function whoAmI(request: FastifyRequest): Html | undefined {
  const { person } = request
  if (person === undefined) return undefined
  const name = person.name === person.role ? undefined : html`<span class="name">${person.name}</span>`
  const logOut = sessionOf(request) === undefined ? undefined : logOutForm(request)
  return html`${name}<span class="pill neutral">${person.role}</span>${logOut}`
}

const logOutForm = (request: FastifyRequest): Html =>
  form(request, '/log-out', html`<button class="quiet" type="submit">Log out</button>`)

function themeSwitch(request: FastifyRequest): Html {
  const button = (value: string, label: string): Html =>
    html`<button class="quiet" type="submit" name="theme" value="${value}">${label}</button>`
  return form(
    request,
    '/theme',
    html`<span role="group" aria-label="Colours">${button('light', 'Light')}${button('dark', 'Dark')}${button('auto', 'As the system')}</span>`
  )
}
