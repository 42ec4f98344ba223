import t from 'tap'
import { parseCommandLine, UsageError } from '../../src/cli/command.ts'

const parse = (args: string[], allowPositionals = true) =>
  parseCommandLine({
    args,
    allowPositionals,
    options: { count: { type: 'string', short: 'c' }, json: { type: 'boolean' } }
  })

t.test('options and positional arguments are parsed', async t => {
  const { values, positionals } = parse(['replay', '--count', '3', '--json'])
  t.match(values, { count: '3', json: true })
  t.same(positionals, ['replay'])
})

t.test('what parseArgs refuses is said in our words', async t => {
  const rows: readonly (readonly [readonly string[], string])[] = [
    [['--nope'], 'unknown option --nope: --help lists them'],
    [['-x'], 'unknown option -x: --help lists them'],
    [["--o'clock"], "unknown option --o'clock: --help lists them"],
    [['--count'], 'option --count needs a value'],
    [['-c'], 'option --count needs a value'],
    [['--count', '-5'], 'option --count needs a value; write --count=VALUE if the value begins with a dash'],
    [
      ['--count', '--json'],
      'option --count needs a value; write --count=VALUE if the value begins with a dash'
    ],
    [['--json=yes'], 'option --json takes no value']
  ]
  for (const [args, message] of rows)
    t.throws(() => parse([...args]), new UsageError(message), args.join(' '))
  t.throws(() => parse(['extra'], false), new UsageError('unexpected argument extra'))
})
