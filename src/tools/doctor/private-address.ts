import { BlockList, isIP } from 'node:net'

const inside = new BlockList()
for (const [network, prefix] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16]
] as const) {
  inside.addSubnet(network, prefix, 'ipv4')
}
inside.addAddress('::1', 'ipv6')
inside.addSubnet('fc00::', 7, 'ipv6')
inside.addSubnet('fe80::', 10, 'ipv6')

/** Is this a loopback, private or link-local address? Whoever is connected to one is no outsider. */
export const isInside = (address: string): boolean =>
  inside.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
