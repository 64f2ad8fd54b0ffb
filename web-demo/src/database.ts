// What the app keeps, and how it is found.

import { type Collection, type Database, open } from 'lightning-db'

export interface Place {
  id: string
  name: string
  /** ISO 3166, two letters. */
  country: string
  population: number
  lat: number
  lon: number
}

/** How far the import has come; written in the transaction of the places it speaks of. */
export interface Progress {
  id: 'import'
  /** Of the list, in bytes. */
  bytes: number
  places: number
  /** How many places there will be. */
  total: number
  isDone: boolean
}

export interface Store {
  db: Database
  places: Collection<Place>
  progress: Collection<Progress>
}

export const DATABASE = 'places'

export async function openStore(): Promise<Store> {
  const db = await open(DATABASE)
  return {
    db,
    places: db.collection<Place>('places', {
      key: 'id',
      indexes: {
        name: { path: 'name', folded: true },
        country: ['country', 'population'],
        population: 'population',
        lat: 'lat',
      },
    }),
    progress: db.collection<Progress>('progress', { key: 'id' }),
  }
}
