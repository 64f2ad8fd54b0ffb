// What is looked for: kept in the address, so that a reload and a link show the same.

import type { Place, Store } from './database'

export interface Filter {
  text: string
  country: string
  populationMin: number
  order: 'population' | 'name'
}

export const POPULATIONS = [0, 10_000, 100_000, 1_000_000]

export function readFilter(): Filter {
  const given = new URLSearchParams(location.hash.slice(1))
  return {
    text: given.get('q') ?? '',
    country: given.get('country') ?? '',
    populationMin: Number(given.get('population') ?? 0) || 0,
    order: given.get('order') === 'name' ? 'name' : 'population',
  }
}

export function writeFilter({ text, country, populationMin, order }: Filter): void {
  const given = new URLSearchParams()
  if (text) given.set('q', text)
  if (country) given.set('country', country)
  if (populationMin) given.set('population', String(populationMin))
  if (order !== 'population') given.set('order', order)
  history.replaceState(null, '', given.size ? `#${given}` : location.pathname)
}

/** All places that are looked for, in no order yet. */
export function found({ places }: Store, { text, country, populationMin }: Filter) {
  let query = places.query()
  if (text) query = query.where('name').fold().startsWith(text)
  if (country) query = query.where('country').equals(country)
  if (populationMin) query = query.where('population').from(populationMin)
  return query
}

export function ordered(store: Store, filter: Filter) {
  const query = found(store, filter)
  return filter.order === 'name' ? query.orderBy('name') : query.orderBy('population', 'descending')
}

/** The same query, as a program would write it. */
export function asCode({ text, country, populationMin, order }: Filter): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "\\'")}'`
  return [
    'places.query()',
    text && `  .where('name').fold().startsWith(${quoted(text)})`,
    country && `  .where('country').equals(${quoted(country)})`,
    populationMin && `  .where('population').from(${populationMin.toLocaleString('en').replaceAll(',', '_')})`,
    order === 'name' ? `  .orderBy('name')` : `  .orderBy('population', 'descending')`,
    '  .limit(100)',
  ]
    .filter(Boolean)
    .join('\n')
}

const regions = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'code' })

export function countryName(code: string): string {
  try {
    return regions.of(code) ?? code
  } catch {
    return code
  }
}

export function describe({ country, population }: Place): string {
  return `${countryName(country)} · ${population.toLocaleString('en')}`
}
