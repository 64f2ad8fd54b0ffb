// The form of a place. What is saved shows at once, and is taken back when it could not be written.

import type { Place, Store } from './database'
import { byId, say } from './elements'

export class Editor {
  #place: Place | undefined
  readonly #dialog = byId<HTMLDialogElement>('editor')
  readonly #form = byId<HTMLFormElement>('place')

  /** @param show shows a place as it will be (undefined: gone) until the database has it */
  constructor(
    private readonly store: Store,
    private readonly show: (id: string, place: Place | undefined) => void,
  ) {
    this.#form.addEventListener('submit', event => {
      event.preventDefault()
      void this.#save()
    })
    byId('cancel').addEventListener('click', () => this.#dialog.close())
    byId('remove').addEventListener('click', () => void this.#remove())
    this.#dialog.addEventListener('click', event => {
      if (event.target === this.#dialog) this.#dialog.close()
    })
  }

  edit(place: Place | undefined, suggested: Partial<Place> = {}): void {
    this.#place = place
    const shown = place ?? suggested
    byId('editor-title').textContent = place ? place.name : 'New place'
    byId('remove').hidden = !place
    this.#field('name').value = shown.name ?? ''
    this.#field('country').value = shown.country ?? ''
    this.#field('population').value = String(shown.population ?? '')
    this.#field('lat').value = String(shown.lat ?? '')
    this.#field('lon').value = String(shown.lon ?? '')
    this.#dialog.showModal()
    if (!place) this.#field('name').focus()
  }

  #field(name: string): HTMLInputElement {
    return this.#form.elements.namedItem(name) as HTMLInputElement
  }

  async #save(): Promise<void> {
    const before = this.#place
    const place: Place = {
      id: before?.id ?? crypto.randomUUID(),
      name: this.#field('name').value.trim(),
      country: this.#field('country').value,
      population: Number(this.#field('population').value),
      lat: Number(this.#field('lat').value),
      lon: Number(this.#field('lon').value),
    }
    this.#dialog.close()
    this.show(place.id, place)
    try {
      await this.store.places.put(place)
      say(`${place.name} is saved.`)
    } catch (error) {
      this.show(place.id, before)
      say(`${place.name} was not saved: ${(error as Error).message}`)
    }
  }

  async #remove(): Promise<void> {
    const place = this.#place
    if (!place) return
    this.#dialog.close()
    this.show(place.id, undefined)
    try {
      await this.store.places.delete(place.id)
      say(`${place.name} is deleted.`, { label: 'Undo', run: () => void this.store.places.put(place) })
    } catch (error) {
      this.show(place.id, place)
      say(`${place.name} was not deleted: ${(error as Error).message}`)
    }
  }
}
