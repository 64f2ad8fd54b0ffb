// What the database is like inside: collections, indexes, how the current query is answered, storage, and how fast it is.

import { destroy } from 'lightning-db'
import { benchmark } from './benchmark'
import { DATABASE, type Store } from './database'
import { bytes, byId, make, number } from './elements'
import { type Filter, asCode, ordered } from './filter'

export class Inspector {
  constructor(
    private readonly store: Store,
    private readonly filter: () => Filter,
  ) {}

  async show(): Promise<void> {
    const { db } = this.store
    const [collections, stats, explained, estimate, isPersistent] = await Promise.all([
      db.collections(),
      db.stats(),
      ordered(this.store, this.filter()).limit(100).explain(),
      navigator.storage.estimate(),
      navigator.storage.persisted?.() ?? false,
    ])
    byId('inspect').replaceChildren(
      card(
        'The current query',
        make('pre', { tabIndex: 0 }, asCode(this.filter())),
        make('p', {}, explained.plan),
        facts([
          ['index', explained.index ?? 'none'],
          ['rows', number(explained.rows)],
          ['index entries read', number(explained.entriesRead)],
          ['documents read', number(explained.documentsRead)],
          ['sorted afterwards', explained.isSorted ? 'yes' : 'no'],
        ]),
      ),
      card(
        'Storage',
        facts([
          ['where', { opfs: 'origin private file system', indexeddb: 'IndexedDB', file: 'file', memory: 'memory' }[db.storage]],
          ['database file', bytes(stats.fileBytes)],
          ['of it free', bytes(stats.freeBytes)],
          ['log', bytes(stats.logBytes)],
          ['this site uses', bytes(estimate.usage ?? 0)],
          ['this site may use', bytes(estimate.quota ?? 0)],
          ['kept when space is short', isPersistent ? 'yes' : 'not promised'],
        ]),
        isPersistent ? undefined : action('Ask to keep it', async () => ((await navigator.storage.persist()) ? 'The browser keeps it.' : 'The browser does not promise it.')),
        action('Make it small', async () => {
          await db.compact()
          return `The file has ${bytes((await db.stats()).fileBytes)} now.`
        }),
      ),
      card(
        'Engine',
        facts([
          ['commits', number(stats.commits)],
          ['conflicts', number(stats.conflicts)],
          ['checkpoints', number(stats.checkpoints)],
          ['memory', `${bytes(stats.cacheBytes + stats.memtableBytes)} of ${bytes(stats.memoryBudgetBytes)}`],
          ['cache hits', share(stats.cacheHits, stats.cacheMisses)],
          ['open snapshots', number(stats.snapshots)],
        ]),
        action('Verify everything', async () => {
          const start = performance.now()
          const { entries, documents, indexEntries, problems } = await db.verify()
          const ms = number(Math.round(performance.now() - start))
          if (problems.length > 0) return problems.join('; ')
          return `Whole: ${number(documents)} documents, ${number(indexEntries)} index entries, ${number(entries)} entries in all, in ${ms} ms.`
        }),
        action('Delete everything', async () => {
          if (!confirm('Delete all places from this device?')) return ''
          await db.close()
          // Another tab may have it open; this one needs it again, then.
          await destroy(DATABASE).catch((error: Error) => alert(error.message))
          location.reload()
          return 'Deleted.'
        }, 'danger'),
      ),
      card('Collections', table(
        ['collection', 'key', 'documents'],
        collections.map(({ name, key, documents }) => [name, key, number(documents)]),
      ), table(
        ['index', 'on', 'kind', 'entries'],
        collections.flatMap(({ name: collection, indexes }) =>
          indexes.map(({ name, paths, unique, folded, multi, sparse, ready, entries }) => [
            `${collection}.${name}`,
            paths.join(', '),
            [unique && 'unique', folded && 'folded', multi && 'many', sparse && 'sparse', !ready && 'being made'].filter(Boolean).join(', ') || 'plain',
            number(entries),
          ]),
        ),
      )),
      this.#benchmark(),
    )
  }

  #benchmark(): HTMLElement {
    const result = make('div', { role: 'status' })
    const button = make('button', { type: 'button', className: 'primary' }, 'Measure')
    button.onclick = async () => {
      button.disabled = true
      try {
        const rows = await benchmark(what => result.replaceChildren(make('p', {}, `${what}…`)))
        result.replaceChildren(
          table(
            ['work', 'Lightning DB', 'IndexedDB', ''],
            rows.map(({ what, lightningMs, indexedDbMs }) => [what, ms(lightningMs), ms(indexedDbMs), ratio(indexedDbMs / lightningMs)]),
          ),
          make('p', { className: 'faint' }, 'One run, in this page, with whatever else this device does. Writes of both survive a power loss: IndexedDB runs with strict durability.'),
        )
      } catch (error) {
        result.replaceChildren(make('p', {}, `It stopped: ${(error as Error).message}`))
      } finally {
        button.disabled = false
      }
    }
    return card('Beside IndexedDB', make('p', {}, 'The same small records, written and read by this database and by IndexedDB as it is.'), make('p', {}, button), result)
  }
}

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : number(Math.round(value))} ms`
const ratio = (value: number) =>
  value > 0.95 && value < 1.05 ? 'the same' : value >= 1 ? `${value.toFixed(1)}× faster` : `${(1 / value).toFixed(1)}× slower`
const share = (hits: number, misses: number) => (hits + misses > 0 ? `${Math.round((100 * hits) / (hits + misses))} %` : 'none yet')

function card(title: string, ...children: (Node | undefined)[]): HTMLElement {
  return make('section', { className: 'card' }, make('h2', {}, title), ...children)
}

function facts(pairs: [string, string][]): HTMLElement {
  return make('dl', {}, ...pairs.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]))
}

function table(head: string[], rows: string[][]): HTMLElement {
  return make(
    'div',
    { className: 'scroll', tabIndex: 0 },
    make(
      'table',
      {},
      make('thead', {}, make('tr', {}, ...head.map(text => make('th', { scope: 'col' }, text)))),
      make('tbody', {}, ...rows.map(row => make('tr', {}, ...row.map(text => make('td', {}, text))))),
    ),
  )
}

/** A button, and what came of it. */
function action(label: string, run: () => Promise<string>, className = ''): HTMLElement {
  const outcome = make('span', { role: 'status' })
  const button = make('button', { type: 'button', className }, label)
  button.onclick = async () => {
    button.disabled = true
    outcome.textContent = '…'
    try {
      outcome.textContent = await run()
    } catch (error) {
      outcome.textContent = (error as Error).message
    } finally {
      button.disabled = false
    }
  }
  return make('p', { className: 'action' }, button, ' ', outcome)
}
