// Tested by test/tools/consumers/parts.test.ts.
/** Codes of node:tls and OpenSSL for a certificate that is not accepted, or a server without TLS. */
const TLS_CODE =
  /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|ERR_TLS|ERR_SSL|EPROTO|ALTNAME|wrong version number|support 'tls'/i

/** @returns the likely remedy for the status of an HTTP target; `undefined` for 2xx */
export function statusFix(status: number, location: string | undefined): string | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status >= 300 && status < 400) {
    return `redirects are not followed: set url to the final address${location === undefined ? '' : `, ${location}`}`
  }
  switch (status) {
    case 401:
    case 403:
      return 'the endpoint does not accept the signature: check that it has the same secret (whsec_…), verifies the raw body, and that its clock is right'
    case 404:
    case 405:
      return 'check the path in url, and that the endpoint takes POST'
    case 410:
      return 'the endpoint asks not to be called again. With a real event the consumer would be disabled: correct url, or remove the consumer'
    case 413:
      return 'the endpoint refuses a body of this size: raise its limit'
    case 429:
      return 'the endpoint limits the rate: lower concurrency'
  }
  return status >= 500
    ? 'the endpoint failed: see its own log for this webhook-id'
    : 'the endpoint refused the request: see its own log for this webhook-id'
}

/** @param failure code or reason of a failed connection. @returns the likely remedy */
export function connectionFix(failure: string): string {
  if (/ENOTFOUND|EAI_AGAIN/.test(failure))
    return 'the host name does not resolve: check it, and the DNS of this host'
  if (TLS_CODE.test(failure)) {
    return 'TLS failed: check that the address uses TLS as the server does, and that its certificate matches the host name and is signed by a CA that Node trusts (NODE_EXTRA_CA_CERTS for a private one)'
  }
  if (/ECONNREFUSED/.test(failure))
    return 'nothing listens there: check host and port, and that the target runs'
  if (/timeout|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|EHOSTUNREACH|ENETUNREACH/i.test(failure)) {
    return 'no answer in time: check host, port and firewalls, and that the target is not overloaded'
  }
  return 'the connection was lost: check that the port speaks this protocol, and see the log of the target'
}

/** @param failure the reason, with the broker's code. @returns the likely remedy */
export function brokerFix(failure: string, kind: 'nats' | 'amqp'): string {
  if (/the virtual host \S+: it does not exist/.test(failure)) {
    return 'create the virtual host, permit it to the user, or correct the path of url'
  }
  if (/ACCESS.REFUSED|\b403\b|authorization|authentication|NOT_ALLOWED/i.test(failure)) {
    return kind === 'amqp'
      ? 'check username and password, and the permissions of the user in this virtual host'
      : 'check user and password, or token, and the permissions of the user'
  }
  if (/PRECONDITION|\b406\b/.test(failure)) {
    return 'the exchange exists with other properties: it must be a durable topic exchange, or use another name'
  }
  if (/10065|does not have the subject/.test(failure)) {
    return 'the subjects do not fit the streams of this broker: change subjectPrefix or stream, or the subjects of the stream'
  }
  if (/JetStream is not enabled/.test(failure)) return 'enable JetStream on the server, and for this account'
  return connectionFix(failure)
}
