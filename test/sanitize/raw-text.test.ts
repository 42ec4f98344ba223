import { createHash } from 'node:crypto'
import t from 'tap'
import { basic, customerio } from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const ada = sha256('ada@example.com')
const { text } = compileSanitizer(customerio)

const bodies: [name: string, input: string, output: string][] = [
  ['nothing', '', ''],
  ['plain text', 'hello, world', 'hello, world'],
  ['plain text with an address', 'hello ada@example.com', 'hello [EMAIL]'],
  ['an array', '[{"email":"ada@example.com"},1]', `[{"email_hash":"${ada}"},1]`],
  ['an array of a card', '[4111111111111111, 1]', '["[CARD]", 1]'],
  ['a string', '"ada\\u0040example.com"', '"[EMAIL]"'],
  ['JSON in a string', '"{\\"password\\":\\"hunter2\\"}"', '"{\\"password\\":\\"[REDACTED]\\"}"'],
  ['a poisoned prototype', '{"__proto__":{"password":1}}', '{"__proto__":{"password":"[REDACTED]"}}'],
  ['a falsy value', '{"password":null,"ssn":0}', '{"password":"[REDACTED]","ssn":"[REDACTED]"}'],
  ['a null to hash', '{"email":null}', '{"email_hash":null}'],
  ['a list to hash', '{"to":["ada@example.com",{}]', `{"to_hash":["${ada}","[REDACTED]"]`],
  ['a number to hash', '{"to": 12 ,', `{"to_hash": "${sha256('12')}" ,`],
  ['an object to redact', '{"secret":{"a":["}"]},"b":1', '{"secret":"[REDACTED]","b":1'],
  [
    'a name in another spelling',
    '{"Credit-Card":"1","creditCard":2',
    '{"Credit-Card":"[REDACTED]","creditCard":"[REDACTED]"'
  ],
  ['an escaped name', '{"p\\u0061ssword":"hunter2"', '{"p\\u0061ssword":"[REDACTED]"'],
  ['a cut string', '{"password":"hunter2', '{"password":"[REDACTED]"'],
  ['a cut object', '{"secret":{"a":"hunter2","b":[', '{"secret":"[REDACTED]"'],
  ['a cut address', '{"note":"to ada@exam', '{"note":"to [EMAIL]'],
  ['a cut hash', '{"email":"ada@exam', '{"email_hash":"[REDACTED]"'],
  ['a cut start', 'x","password":"hunter2","a":1}', 'x","password":"[REDACTED]","a":1}'],
  ['a lost colon', '{"password" "hunter2","a":1}', '{"password" "[REDACTED]"'],
  ['a lost quote before the value', '{"password":hunter2","a":1}', '{"password":"[REDACTED]"'],
  ['a lost quote behind the name', '{"password:"hunter2","a":1}', '{"password:""[REDACTED]"'],
  ['a lost quote before the name', '{password":"hunter2","a":1}', '{password":"[REDACTED]","a":1}'],
  ['a lost quote elsewhere', '{"a":"b"c","password":"hunter2"}', '{"a":"b"c","password":"[REDACTED]"}'],
  ['a comma before the colon', '{"password",:"hunter2"}', '{"password",:"[REDACTED]"}'],
  [
    'two lost quotes around a name',
    '{"a":x","b":[1,{password":"hunter2"}]}',
    '{"a":x","b":[1,{password":"[REDACTED]"}]}'
  ],
  ['a lost quote before a bracket', '{"ssn:["hunter2"],"a":1}', '{"ssn:[""[REDACTED]"'],
  ['a lost quote behind more words', '{"my ssn:["hunter2"],"a":1}', '{"my ssn:\\"[REDACTED]\\"""[REDACTED]"'],
  ['a bracket in the name', '{"password[":"hunter2"}', '{"password[":"[REDACTED]"}'],
  ['a lost bracket', '{"ssn": "a": "hunter2"}', '{"ssn": "[REDACTED]"'],
  [
    'a name behind a lost quote',
    '{"a":x","list":[1,{"password":"hunter2"}]}',
    '{"a":x","list":[1,{"password":"[REDACTED]"}]}'
  ],
  ['rubbish behind the value', '{"password":"a"hunter2"}', '{"password":"[REDACTED]"'],
  [
    'a preserved address',
    '{"_preserveEmail":true,"email":"ada@example.com"',
    `{"[REDACTED]":true,"email_hash":"${ada}"`
  ],
  ['a URL', '{"href":"https://x.example/a?b=c#d"', '{"href":"https://x.example/a"'],
  ['a customer', '{"customer_id":"Ada@Example.com","id":"4711"', `{"customer_id":"${ada}","id":"4711"`],
  [
    'a type that is also a name',
    '{"object_type":"email","metric":"sent"',
    '{"object_type":"email","metric":"sent"'
  ],
  ['a form', 'password=x&email=ada%40example.com&a=1', `password=[REDACTED]&email_hash=${ada}&a=1`],
  [
    'a form with brackets',
    'user[email]=ada%40example.com&user[password]=x',
    `user[email_hash]=${ada}&user[password]=[REDACTED]`
  ],
  ['a form with a card', 'x=4111+1111+1111+1111&y=%2B1+415+555+0100', 'x=[CARD]&y=[PHONE]'],
  [
    'a form with JSON',
    'payload=%7B%22password%22%3A%22hunter2%22%7D',
    `payload=${encodeURIComponent('{"password":"')}[REDACTED]${encodeURIComponent('"}')}`
  ],
  [
    'lines',
    'a: 1\npassword: hunter2, 3\nemail: ada@example.com\nb: 2',
    `a: 1\npassword: [REDACTED]\nemail_hash: ${ada}\nb: 2`
  ],
  ['a folded line', 'password: a\n  hunter2\nb: 2', 'password: [REDACTED]\nb: 2'],
  ['single quotes', "{'password': 'hunter2', 'a': 1}", "{'password': [REDACTED]"],
  ['a query in text', 'GET /x?password=hunter2&b=1 HTTP', 'GET /x?password=[REDACTED]&b=1 HTTP'],
  [
    'XML',
    '<a><password x="1">hunter2</password><b>1</b></a>',
    '<a><password>[REDACTED]</password><b>1</b></a>'
  ],
  ['cut XML', '<n:password>hunter2', '<n:password>[REDACTED]'],
  ['an attribute', '<a password="hunter2" b="1">', '<a password="[REDACTED]" b="1">'],
  [
    'a multipart form',
    '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--x--',
    '--x\r\nContent-Disposition: form-data; name="password"[REDACTED]\n--x--'
  ],
  ['a mask that reads as a name', '[EMAIL]: x', '[EMAIL]: x'],
  ['a percent sign', '100%', '100%']
]

for (const [name, input, output] of bodies) {
  t.test(`${name} in an unreadable body leaves without what the policy covers`, async t => {
    t.equal(text(input), output)
    t.equal(text(output), output)
  })
}

t.test('under basic, an unreadable body loses personal text all the same', async t => {
  const sanitizer = compileSanitizer(basic)
  t.equal(sanitizer.text('{"subject":"ada@example.com","ssn":1'), '{"subject":"[EMAIL]","ssn":"[REDACTED]"')
})

t.test('10,000 and 1,000,000 levels are walked', async t => {
  for (const levels of [10_000, 1_000_000]) {
    const deep = `${'{"a":['.repeat(levels / 2)}{"password":"hunter2"}${']}'.repeat(levels / 2)}`
    t.equal(text(deep), deep.replace('hunter2', '[REDACTED]'))
  }
})

/** Enough for a pattern that goes over the text again and again to need minutes. 5120 is the largest body. */
const KIB = Number(process.env['HOSTILE_KIB'] ?? 96)
const pieces =
  'a|"|\\|\\"|"a|{|[|{"a":|"password":|password:|"password"|password |"password":[|id:|id=|"id":{|"id":"|"id":[|href:|href=|to:|to=|&to=1|<to>|<to|</to>|to |to\n|name=to|%40|%|a=|=|&|:|"a":"@|"@|@a.b"|4111111111111111,|[EMAIL]|\\u0061|é| |\n| \n|"customer_id":"a",'
for (const piece of pieces.split('|')) {
  t.test(`${KIB} KiB of ${JSON.stringify(piece)} take no longer than their length asks for`, async t => {
    const body = piece.repeat(Math.ceil((KIB * 1024) / piece.length))
    const before = process.cpuUsage()
    text(body)
    const ms = process.cpuUsage(before).user / 1000 // not the clock's: other processes may be busy
    t.ok(ms < KIB * 16, `${ms} ms`)
    if (process.env['TIMES']) console.error(JSON.stringify(piece), Math.round(ms))
  })
}
