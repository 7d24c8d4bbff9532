import type { TroubleReport } from '../../../events/trouble.js'
import type { Emit } from '../../../progress.js'

/** Emits when events are being retried, and when they are accepted again. */
export function reportTrouble(emit: Emit): TroubleReport {
  return {
    onTrouble: (error) => {
      emit({ type: 'warning', warning: 'events-retried', cause: error.message })
    },
    onRecovery: () => {
      emit({ type: 'notice', notice: 'events-accepted' })
    },
  }
}
