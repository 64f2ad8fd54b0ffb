// Opens the database, and then everything else.

import { LightningError } from 'lightning-db'
import './style.css'
import { type Store, openStore } from './database'
import { byId, make, number, say } from './elements'
import { Explorer } from './explorer'
import { Importing } from './importing'
import { Inspector } from './inspector'

async function start(): Promise<void> {
  byId('status').textContent = 'Opening…'
  let store: Store
  try {
    store = await openStore()
    await store.places.count()
  } catch (error) {
    return trouble(error as Error)
  }
  byId('trouble').hidden = true
  const explorer = new Explorer(store)
  const inspector = new Inspector(store, () => explorer.filter)
  tabs(which => {
    if (which === 'inspect') void inspector.show()
    else explorer.redraw()
  })
  const importing = new Importing(store, places => explorer.came(places))
  await importing.ready()
  await explorer.start()
  const tell = async () => {
    const count = await store.places.count()
    byId('status').textContent = `${number(count)} places${navigator.onLine ? '' : ' · offline'}`
  }
  explorer.onchange = () => void tell().catch(() => {})
  addEventListener('online', () => void tell())
  addEventListener('offline', () => void tell())
  await tell()
}

/** Says why there is no database, and what helps. */
function trouble(error: Error): void {
  byId('status').textContent = ''
  const isBusy = error instanceof LightningError && error.code === 'DatabaseBusy'
  const section = byId('trouble')
  section.replaceChildren(
    make('h2', {}, isBusy ? 'Open in another tab' : 'The database could not be opened'),
    make('p', {}, isBusy ? 'Another tab has the places open. Close it there, then try again.' : error.message),
    make('button', { type: 'button', className: 'primary', onclick: () => void start() }, 'Try again'),
  )
  section.hidden = false
}

function tabs(chosen: (which: 'explore' | 'inspect') => void): void {
  const names = ['explore', 'inspect'] as const
  const choose = (which: (typeof names)[number]) => {
    document.body.dataset.tab = which
    for (const name of names) {
      byId(name).hidden = name !== which
      const tab = byId(`tab-${name}`)
      tab.setAttribute('aria-selected', String(name === which))
      tab.tabIndex = name === which ? 0 : -1
    }
    chosen(which)
  }
  for (const name of names) {
    const tab = byId(`tab-${name}`)
    tab.onclick = () => choose(name)
    tab.onkeydown = event => {
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
      const other = names[1 - names.indexOf(name)]!
      choose(other)
      byId(`tab-${other}`).focus()
    }
  }
  choose('explore')
}

addEventListener('keydown', event => {
  const typing = event.target instanceof HTMLInputElement || document.querySelector('dialog[open]')
  if (event.key !== '/' || typing) return
  event.preventDefault()
  byId('tab-explore').click()
  byId('text').focus()
})
addEventListener('unhandledrejection', event => say(String(event.reason?.message ?? event.reason)))

if (import.meta.env.PROD && 'serviceWorker' in navigator) void navigator.serviceWorker.register('./offline.js')
void start()
