/**
 * HTML that is safe to send: only the `html` tag makes it. A string is escaped wherever it is put, so a value from an
 * event cannot become markup.
 */
export class Html {
  readonly text: string

  private constructor(text: string) {
    this.text = text
  }

  /** Only for `html`. A template's literals are code, and its values are escaped. */
  static of(literals: TemplateStringsArray, values: readonly HtmlValue[]): Html {
    return new Html(literals.map((literal, index) => literal + textOf(values[index])).join(''))
  }
}

/** `undefined` is nothing. To leave out a part: `${condition ? html`…` : undefined}`. */
export type HtmlValue = Html | string | number | undefined | readonly HtmlValue[]

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;'
}

function textOf(value: HtmlValue): string {
  if (value === undefined) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(textOf).join('')
  return String(value).replace(/[&<>"'`]/g, character => ENTITIES[character] ?? '')
}

/** A template of HTML. Attributes must be quoted: `<a href="${path}">`. */
export const html = (literals: TemplateStringsArray, ...values: readonly HtmlValue[]): Html =>
  Html.of(literals, values)
