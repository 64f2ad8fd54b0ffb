// What the types of the package refuse. It is compiled, not run: each line that says `@ts-expect-error` must be an error.

import { type Collection, type Database, LightningError, field, increment, open } from 'lightning-db'
import { open as openSync } from 'lightning-db/sync'

interface Person {
  id: number
  name: string
  born?: Date
  address: { city: string; street?: { name: string; number: number } }
  tags: string[]
  pets: { name: string; age: number }[]
  picture: Uint8Array
  note: string | null
}

export async function refused(db: Database, people: Collection<Person>): Promise<void> {
  // Paths of schemas.
  db.collection<Person>('people', { key: 'id', indexes: { name: 'name', city: 'address.city', pet: { path: 'pets.name', multi: true } } })
  db.collection<Person>('people', { key: 'id', indexes: { both: ['address.city', 'name'], born: { path: 'born', sparse: true } } })
  // @ts-expect-error there is no such field
  db.collection<Person>('people', { key: 'ident' })
  // @ts-expect-error there is no such field
  db.collection<Person>('people', { key: 'id', indexes: { name: 'nam' } })
  // @ts-expect-error there is no such field in an address
  db.collection<Person>('people', { key: 'id', indexes: { city: 'address.town' } })
  // @ts-expect-error one of these is no field
  db.collection<Person>('people', { key: 'id', indexes: { both: ['address.city', 'nam'] } })
  // @ts-expect-error there is no such option
  db.collection<Person>('people', { key: 'id', indexes: { name: { path: 'name', uniq: true } } })

  // Paths of queries.
  people.where('name').equals('Ada')
  people.where('address.street.number').above(3).and('pets.age').below(9).or('tags').equals('a').orderBy('born', 'descending')
  people.where('note').isNull()
  // @ts-expect-error there is no such field
  people.where('nmae')
  // @ts-expect-error there is no such field in an address
  people.where('address.zip')
  // @ts-expect-error a date has no fields
  people.where('born.year')
  // @ts-expect-error bytes have no fields
  people.where('picture.length')
  // @ts-expect-error there is no such field
  people.query().orderBy('nmae')
  // @ts-expect-error there is no such order
  people.query().orderBy('name', 'downwards')
  // @ts-expect-error there is no such field
  people.query().select('name', 'nmae')
  // @ts-expect-error there is no such field
  people.query().min('nmae')

  // Documents and changes.
  // @ts-expect-error fields are missing
  await people.put({ id: 1, name: 'Ada' })
  await people.update(1, { name: 'Ada', 'address.city': 'Paris', id: increment(2) })
  // @ts-expect-error there is no such field
  await people.update(1, { nmae: 'Ada' })
  // @ts-expect-error a key is no function
  await people.get(() => 1)

  // What comes back.
  const one: Person | undefined = await people.get(1)
  // @ts-expect-error it may be missing
  one.name
  for await (const { name } of people.where('id').from(1)) name.length
  for await (const { name, id } of people.query().select('name', 'id')) name.length + id
  // @ts-expect-error it was not selected
  for await (const { tags } of people.query().select('name', 'id')) tags
  people.query().watch(rows => rows[0]?.name.length)
  const stats = await db.stats()
  // @ts-expect-error there is no such number
  stats.comits
  const anything: Collection = db.collection('anything')
  anything.where('whatever.it.is').equals(1)
  people.query(field('name').equals('Ada'))

  // Options, and errors.
  // @ts-expect-error there is no such storage
  await open('app', { storage: 'disk' })
  // @ts-expect-error there is no such code
  if (one instanceof LightningError && one.code === 'Conflcit') return

  const local = await openSync('app')
  const jobs = local.collection<{ id: number }>('jobs', { key: 'id' })
  const job: { id: number } | undefined = jobs.get(1)
  for (const { id } of jobs.query().select('id')) id + (job?.id ?? 0)
  // @ts-expect-error nothing is waited for
  jobs.get(1).then
}
