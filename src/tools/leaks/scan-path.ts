import type { Detector } from './detector.ts'
import type { FindingCollection, Sighting } from './finding.ts'
import { scanText } from './stream-scanner.ts'

/** Looks through a path: names are texts like any other. */
export function scanName(
  detector: Detector,
  findings: FindingCollection,
  where: Pick<Sighting, 'file' | 'commit' | 'age' | 'inWorkingTree'>
): void {
  const scan = scanText(detector, ({ leak }) => findings.add({ ...where, leak, place: 'file name', line: 1 }))
  scan.push(Buffer.from(where.file, 'utf8'))
  scan.end()
}
