import type { IncomingHttpHeaders } from 'node:http'
import { DOCTOR_USER_AGENT } from '../event-types.ts'

/**
 * Is this delivery from `cio-webhook doctor`? Ask only about an authentic one: anybody can send the header. Customer.io
 * sends its own, so without the signing key nobody can make a real delivery look like the doctor's.
 */
export const isFromDoctor = (headers: IncomingHttpHeaders): boolean =>
  headers['user-agent'] === DOCTOR_USER_AGENT
