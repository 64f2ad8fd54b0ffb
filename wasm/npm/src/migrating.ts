// Documents of older versions, brought to the one that a program knows.

import { decode } from './cbor.js'
import { Documents, type Migrations, type WholeMigration } from './collection.js'
import { LightningError } from './errors.js'
import { type Given, type Held, type Link, type Mode, current, held, numberOf, release } from './link.js'
import { Operation } from './protocol.js'
import { changeList } from './query.js'
import { ISOLATION, begin, scopeOf } from './scope.js'

/** Brings documents to the schema's version, some at a time, until the collection may be opened. */
export function migrate<M extends Mode>(
  link: Link<M>,
  durable: boolean,
  name: string,
  form: object,
  migrations: Migrations<M>,
): Given<M, void> {
  const again = () => migrate(link, durable, name, form, migrations)
  const next = link.ask(
    Operation.NextMigration,
    durable,
    writer => {
      writer.text(name)
      writer.value(form)
    },
    reader => {
      const step = reader.value() as null | [step: number, version: number, documents: Uint8Array[]]
      return step && { held: held(link, step[0]), version: step[1], documents: step[2] }
    },
  )
  return link.then(next, step => {
    if (step === null) return
    const { version, documents } = step
    const change = migrations[version]
    if (!change) {
      release(link, step.held)
      const what = `its documents have version ${version}; give a migration from ${version}`
      throw new LightningError('SchemaMismatch', [name, what])
    }
    if ('transaction' in change && typeof change.transaction === 'function') {
      release(link, step.held)
      return link.then(migrateWhole(link, durable, name, form, version, change as WholeMigration<M>), again)
    }
    const isFunction = typeof change === 'function'
    // Once, however often the request is written: it is written again when blobs in it have been read.
    const changed = isFunction ? documents.map(document => change(decode(document))) : changeList(change)
    const written = link.ask(
      Operation.Migrate,
      durable,
      writer => {
        writer.number(current(link, step.held))
        writer.value(!isFunction)
        writer.value(changed)
      },
      () => undefined,
    )
    return link.then(written, again)
  })
}

/** Changes a collection of an older version in one transaction. */
function migrateWhole<M extends Mode>(
  link: Link<M>,
  durable: boolean,
  name: string,
  form: object,
  version: number,
  { transaction }: WholeMigration<M>,
): Given<M, void> {
  const number = numberOf(link, `older ${name}`)
  const older = link.ask(
    Operation.OlderCollection,
    durable,
    writer => {
      writer.number(number)
      writer.text(name)
      writer.value(form)
    },
    () => number,
  )
  const commit = (held: Held) =>
    link.ask(Operation.Commit, durable, writer => writer.number(current(link, held)), () => undefined)
  const run = (held: Held): Given<M, void> => {
    const documents = new Documents<any, M>(name, link, () => number, () => scopeOf(link, held), () => false)
    return link.then(transaction(documents) as Given<M, unknown>, () =>
      link.then(
        documents.ask(Operation.FinishMigration, false, writer => writer.number(version), () => undefined),
        () => commit(held),
      ),
    )
  }
  return link.then(older, () =>
    link.then(begin(link, ISOLATION.serializable), held => link.finally(() => run(held), () => release(link, held))),
  )
}
