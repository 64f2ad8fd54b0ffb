// Looking for places: the filters, the list that follows the data, and the map.

import type { Stop } from 'lightning-db'
import type { Place, Store } from './database'
import { Editor } from './editor'
import { byId, make, number, say } from './elements'
import { type Filter, POPULATIONS, countryName, describe, found, ordered, readFilter, writeFilter } from './filter'
import { PlaceMap } from './map'

const ROWS = 100
const MARKED = 1500
const COUNT_MS = 250

export class Explorer {
  filter: Filter = readFilter()
  /** Called after the places changed. */
  onchange: () => void = () => {}
  readonly #map: PlaceMap
  readonly #editor: Editor
  #rows: readonly Place[] = []
  /** What was saved here and is on its way into the database. */
  readonly #pending = new Map<string, Place | undefined>()
  #stop: Stop | undefined
  /** Answers to what is no longer asked are dropped. */
  #asked = 0
  #counting: ReturnType<typeof setTimeout> | undefined
  #elapsed = ''

  constructor(private readonly store: Store) {
    this.#map = new PlaceMap(byId<HTMLCanvasElement>('map'), (lat, lon, degrees) => void this.#pick(lat, lon, degrees))
    this.#editor = new Editor(store, (id, place) => this.#expect(id, place))
    byId('zoom-in').onclick = () => this.#map.zoomBy(1.6)
    byId('zoom-out').onclick = () => this.#map.zoomBy(1 / 1.6)
    byId('zoom-all').onclick = () => this.#map.reset()
    byId('add').onclick = () => this.#editor.edit(undefined, { country: this.filter.country })

    const text = byId<HTMLInputElement>('text')
    const country = byId<HTMLSelectElement>('country')
    const order = byId<HTMLSelectElement>('order')
    text.value = this.filter.text
    order.value = this.filter.order
    text.oninput = () => this.#change({ text: text.value.trim() })
    country.onchange = () => this.#change({ country: country.value }, true)
    order.onchange = () => this.#change({ order: order.value as Filter['order'] })
    byId('population').append(
      ...POPULATIONS.map(minimum =>
        make(
          'label',
          { className: 'choice' },
          make('input', {
            type: 'radio',
            name: 'population',
            value: String(minimum),
            checked: minimum === this.filter.populationMin,
            onchange: () => this.#change({ populationMin: minimum }),
          }),
          make('span', {}, minimum === 0 ? 'any' : `${short(minimum)}+`, make('small', { id: `population-${minimum}` })),
        ),
      ),
    )
    byId('list').onkeydown = event => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
      const row = (event.target as Element).closest('li')
      const next = step === 1 ? row?.nextElementSibling : row?.previousElementSibling
      if (!step || !next) return
      event.preventDefault()
      next.querySelector('button')?.focus()
    }
    text.onkeydown = event => {
      if (event.key === 'ArrowDown') byId('list').querySelector('button')?.focus()
    }
  }

  async start(): Promise<void> {
    await this.#countries()
    this.#ask()
    await this.#everything()
    if (this.filter.country || this.filter.text) this.#map.show(this.#rows)
  }

  redraw(): void {
    this.#map.draw()
  }

  /** Places that an import brought. */
  came(places: Place[]): void {
    this.#map.add(places)
    this.#recount()
  }

  #change(change: Partial<Filter>, move = false): void {
    this.filter = { ...this.filter, ...change }
    writeFilter(this.filter)
    this.#map.choose(undefined)
    this.#ask(() => {
      if (move && this.filter.country) this.#map.show(this.#rows)
      else if (move) this.#map.reset()
    })
  }

  /** Follows what is looked for now. */
  #ask(then?: () => void): void {
    this.#stop?.()
    const asked = ++this.#asked
    const start = performance.now()
    let isFirst = true
    this.#stop = ordered(this.store, this.filter)
      .limit(ROWS)
      .watch(rows => {
        if (isFirst) this.#elapsed = ` in ${(performance.now() - start).toFixed(0)} ms`
        this.#rows = rows
        const changed = isFirst ? [] : [...rows.added, ...rows.changed]
        // The database knows better than what was expected of it.
        for (const place of changed) this.#pending.delete(place.id)
        for (const place of rows.removed) this.#pending.delete(place.id)
        this.#list(new Set(changed.map(place => place.id)))
        if (isFirst) void this.#count(asked)
        else this.#recount()
        if (isFirst) then?.()
        isFirst = false
      })
  }

  #list(changed: ReadonlySet<string> = new Set()): void {
    const rows = this.#rows.flatMap(row => {
      if (!this.#pending.has(row.id)) return [row]
      const place = this.#pending.get(row.id)
      return place ? [place] : []
    })
    const focused = document.activeElement?.closest('li')?.dataset.id
    byId('list').replaceChildren(
      ...rows.map(place =>
        make(
          'li',
          { className: changed.has(place.id) ? 'changed' : '' },
          make(
            'button',
            { type: 'button', onclick: () => this.#open(place), onfocus: () => this.#map.choose(place) },
            make('strong', {}, place.name),
            make('span', {}, describe(place)),
          ),
        ),
      ),
    )
    rows.forEach((place, at) => ((byId('list').children[at] as HTMLElement).dataset.id = place.id))
    if (focused) byId('list').querySelector<HTMLElement>(`[data-id=${CSS.escape(focused)}] button`)?.focus()
    const more = byId('more')
    more.hidden = rows.length > 0
    more.textContent = 'No place is like that.'
  }

  /** What is being written, shown before it is. */
  #expect(id: string, place: Place | undefined): void {
    this.#pending.set(id, place)
    this.#list(new Set([id]))
    // Where it is outside of the list, the list does not hear of it.
    setTimeout(() => this.#pending.delete(id), 2000)
    this.#recount()
  }

  #open(place: Place): void {
    this.#map.choose(place)
    this.#editor.edit(place)
  }

  /** The place that was clicked at on the map: the largest near to it. */
  async #pick(lat: number, lon: number, degrees: number): Promise<void> {
    const near = await this.store.places
      .where('lat').between(lat - degrees, lat + degrees)
      .and('lon').between(lon - degrees, lon + degrees)
      .orderBy('population', 'descending')
      .first()
    this.#map.choose(near)
    if (near) say(`${near.name} · ${describe(near)}`, { label: 'Edit', run: () => this.#open(near) })
  }

  #recount(): void {
    this.#counting ??= setTimeout(() => {
      this.#counting = undefined
      this.#elapsed = ''
      void this.#count(this.#asked)
      this.onchange()
    }, COUNT_MS)
  }

  /** How many there are, for each choice of population too, and where the largest are. */
  async #count(asked: number): Promise<void> {
    const { store, filter } = this
    const [count, marked, ...choices] = await Promise.all([
      found(store, filter).count(),
      found(store, filter).orderBy('population', 'descending').limit(MARKED).toArray(),
      ...POPULATIONS.map(populationMin => found(store, { ...filter, populationMin }).count()),
    ])
    if (asked !== this.#asked) return
    const shown = count > this.#rows.length && this.#rows.length > 0 ? `, ${number(this.#rows.length)} shown` : ''
    byId('count').textContent = `${number(count)} ${count === 1 ? 'place' : 'places'}${shown}${this.#elapsed}`
    POPULATIONS.forEach((minimum, at) => (byId(`population-${minimum}`).textContent = number(choices[at]!)))
    this.#map.mark(marked)
  }

  /** The countries with how many places each has: a count of an index costs a few steps, whatever the number. */
  async #countries(): Promise<void> {
    const { places } = this.store
    const codes = COUNTRIES.map(code => ({ code, name: countryName(code) })).sort((a, b) => a.name.localeCompare(b.name))
    const counts = await Promise.all(codes.map(({ code }) => places.where('country').equals(code).count()))
    const select = byId<HTMLSelectElement>('country')
    const options = codes.flatMap(({ code, name }, at) =>
      counts[at]! > 0 || code === this.filter.country ? [make('option', { value: code }, `${name} (${number(counts[at]!)})`)] : [],
    )
    select.replaceChildren(make('option', { value: '' }, 'All countries'), ...options)
    select.value = this.filter.country
    document
      .querySelector('#place select')!
      .replaceChildren(make('option', { value: '' }, ''), ...codes.map(({ code, name }) => make('option', { value: code }, name)))
  }

  /** Draws everything that is there. */
  async #everything(): Promise<void> {
    this.#map.clear()
    const all = await this.store.places.query().select('lat', 'lon').toArray()
    this.#map.add(all as { lat: number; lon: number }[])
  }
}

const short = (value: number) => (value >= 1_000_000 ? `${value / 1_000_000} M` : `${value / 1000} k`)

const COUNTRIES =
  'AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW'.split(
    ' ',
  )
