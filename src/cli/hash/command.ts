import { loadSettings } from '../../settings/config.ts'
import { compileAddressHash } from '../../tools/events/address-hash.ts'
import { type Command, EXIT, parseCommandLine, UsageError } from '../command.ts'
import { readLines } from '../input.ts'
import { terminalSafe } from '../terminal.ts'

const usage = `usage: cio-webhook hash ADDRESS... [--json]

Prints the hash that stands for an e-mail address or a phone number in events: HMAC-SHA256 under PII_HASH_KEY, or SHA-256
if it is not set. All spellings of an address have the same hash. Configured by the environment, like serve.

The hash stands where the PII policy of a source has the rule 'hash' (email_hash, recipient_hash, to_hash, and with the
policy pipelines phone_hash), and instead of a customer id that is an address. The hash is the same for all sources, but
their policies differ in the fields: 'basic' only has email_hash. See docs/pii.md.

  -               read addresses from standard input, one per line. Arguments are in the list of processes
  --json          print one JSON object per line: address, hash, customerId

customerId is the form of a customer id with this text. It is the text itself if the id is not hashed.

Exit code: 0 ok, 1 a text is neither an address nor a phone number, 2 could not run.`

export const hashCommand: Command = {
  summary: 'print the hash that stands for an e-mail address or a phone number',
  usage,
  run: async (args, env) => {
    const { values, positionals } = parseCommandLine({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } }
    })
    const given = positionals.filter(text => text !== '-')
    if (positionals.length === 0) throw new UsageError('give at least one ADDRESS, or - for standard input')
    const settings = await loadSettings(env, ['hashKey'])
    const { ofAddress, customerSubjects } = compileAddressHash(settings.hashKey?.reveal())
    settings.secrets.close()
    const addresses =
      given.length < positionals.length ? [...given, ...(await readLines(process.stdin))] : given
    let unknown = 0
    for (const address of addresses) {
      const hash = ofAddress(address)
      const customerId = customerSubjects(address).at(-1) ?? address
      if (hash === undefined) {
        unknown++
        process.stderr.write(
          `cio-webhook hash: ${terminalSafe(JSON.stringify(address))} is neither an e-mail address nor a phone number\n`
        )
      } else if (values.json) process.stdout.write(`${JSON.stringify({ address, hash, customerId })}\n`)
      else process.stdout.write(`${hash}  ${terminalSafe(address)}${idNote(address, hash, customerId)}\n`)
    }
    return unknown === 0 ? EXIT.ok : EXIT.findings
  }
}

/** Phone numbers without `+` stay as they are as a customer id. */
function idNote(address: string, hash: string, customerId: string): string {
  if (customerId === hash) return ''
  return customerId === address ? '  (as a customer id: not hashed)' : `  (as a customer id: ${customerId})`
}
