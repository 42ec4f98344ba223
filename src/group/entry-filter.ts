import { compileTypeGlobs, DOCTOR_TYPE } from '../event-types.ts'
import { isBackfilled } from './cloud-event.ts'

interface WantedEvents {
  /** Globs over `<object_type>.<metric>`; `undefined`: every event. */
  readonly types?: readonly string[] | undefined
  /** Events that `cio-webhook reconcile` appended. Default true. */
  readonly backfilled?: boolean | undefined
  /** Events of `cio-webhook doctor`. Default false. */
  readonly includeDoctorEvents?: boolean | undefined
}

/** Whether a consumer wants an entry of the log: its CloudEvents type, and its event as JSON text. */
export type EntryFilter = (entry: { readonly type: string; readonly event: string }) => boolean

/** @throws TypeError that names a glob that cannot match anything */
export function compileEntryFilter({
  types,
  backfilled = true,
  includeDoctorEvents = false
}: WantedEvents): EntryFilter {
  const matches = compileTypeGlobs(types)
  return ({ type, event }) =>
    (type === DOCTOR_TYPE ? includeDoctorEvents : matches(type)) && (backfilled || !isBackfilled(event))
}
