// Tested by test/sanitize/mask-text.test.ts
/**
 * HTML's named character references for what stands in and around addresses and numbers, lower case. Letters are not
 * needed: they are not written this way in practice.
 */
const named: Readonly<Record<string, string>> = {
  amp: '&',
  apos: "'",
  ast: '*',
  bsol: '\\',
  colon: ':',
  comma: ',',
  commat: '@',
  dash: '\u2010',
  emsp: ' ',
  ensp: ' ',
  equals: '=',
  excl: '!',
  gt: '>',
  hairsp: ' ',
  hyphen: '-',
  lbrack: '[',
  lcub: '{',
  lowbar: '_',
  lpar: '(',
  lrm: '\u200e',
  lsqb: '[',
  lt: '<',
  mdash: '-',
  minus: '-',
  nbsp: ' ',
  ndash: '-',
  newline: '\n',
  num: '#',
  numsp: ' ',
  percnt: '%',
  period: '.',
  plus: '+',
  puncsp: ' ',
  quest: '?',
  quot: '"',
  rbrack: ']',
  rcub: '}',
  rlm: '\u200f',
  rpar: ')',
  rsqb: ']',
  semi: ';',
  shy: '\u00ad',
  sol: '/',
  tab: '\t',
  thinsp: ' ',
  verbar: '|',
  zwj: '\u200d',
  zwnj: '\u200c'
}

/** @param name what stands between `&` and `;`: `#64`, `#x40`, `commat` */
export function entityCodePoint(name: string): number | undefined {
  if (!name.startsWith('#')) {
    const lower = name.toLowerCase()
    return Object.hasOwn(named, lower) ? named[lower]?.codePointAt(0) : undefined
  }
  const hex = /^#x([0-9a-f]+)$/i.exec(name)?.[1]
  const decimal = /^#(\d+)$/.exec(name)?.[1]
  const codePoint = hex === undefined ? Number(decimal ?? Number.NaN) : Number.parseInt(hex, 16)
  return codePoint <= 0x10ffff ? codePoint : undefined
}
