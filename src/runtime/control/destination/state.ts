import { Table } from '../cluster/table.ts'
import type { ServiceProfile } from './service-profile.ts'

/** What only discovery reads. */
export class DestinationState {
  /** By namespace and full name of the Service. */
  readonly serviceProfiles = new Table<ServiceProfile>()
}
