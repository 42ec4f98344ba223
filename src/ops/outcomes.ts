/** Why a delivery is not authentic: for the log and the metrics, never for the sender. */
export type SignatureFailure =
  | 'missing'
  | 'malformed'
  | 'timestamp_malformed'
  | 'timestamp_stale'
  | 'timestamp_future'
  | 'scheme_not_allowed'
  | 'scheme_confusion'
  | 'mismatch'
