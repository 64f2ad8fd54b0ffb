// The part of the page that offers the import, and shows how far it is: here, or in another tab.

import type { Place, Store } from './database'
import { byId, number, say } from './elements'
import { importPlaces } from './import'

export class Importing {
  #running: AbortController | undefined

  constructor(
    private readonly store: Store,
    private readonly came: (places: Place[]) => void,
  ) {
    byId('import').onclick = () => void this.#run()
    byId('stop').onclick = () => this.#running?.abort()
  }

  /** Comes back once it is known whether the places are there. */
  ready(): Promise<void> {
    return new Promise(resolve => {
      this.store.progress.query().watch(([state]) => {
        const isDone = state?.isDone ?? false
        byId('welcome').hidden = isDone
        if (state && !isDone) {
          const part = state.places / state.total
          byId<HTMLProgressElement>('progress').value = part
          byId('progress-text').textContent = `${Math.floor(part * 100)} % · ${number(state.places)} of ${number(state.total)} places`
          byId('progress').hidden = byId('progress-text').hidden = false
          byId('import').textContent = 'Go on importing'
          byId('welcome-text').textContent = 'What has come is there already: search it meanwhile. An import that is stopped goes on where it was.'
        }
        resolve()
      })
    })
  }

  async #run(): Promise<void> {
    const running = (this.#running = new AbortController())
    byId('import').hidden = true
    byId('stop').hidden = false
    const start = performance.now()
    let count = 0
    try {
      await importPlaces(this.store, running.signal, places => {
        count += places.length
        this.came(places)
      })
      if (!running.signal.aborted && count > 0) {
        say(`${number(count)} places came in ${((performance.now() - start) / 1000).toFixed(1)} s.`)
        // Asked for once there is something worth keeping.
        void navigator.storage.persist?.()
      }
    } catch (error) {
      if (running.signal.aborted) return
      console.error(error)
      say(`The import stopped: ${(error as Error).message}. It goes on from there.`)
    } finally {
      this.#running = undefined
      byId('import').hidden = false
      byId('stop').hidden = true
    }
  }
}
