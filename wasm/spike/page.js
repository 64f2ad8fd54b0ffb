// Shows what the worker does. Each storage gets a worker of its own: as in an application, its tab's only one.
const { searchParams } = new URL(location.href)
const task = searchParams.get('task') ?? 'write'
const storages = (searchParams.get('storages') ?? 'opfs,indexeddb').split(',')
const rows = Number(searchParams.get('rows') ?? 10_000)

function run(storage) {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
    worker.onerror = (event) => resolve({ storage, error: event.message || 'the worker did not start' })
    worker.onmessage = ({ data }) => {
      if (data.step) show(storage, data.step, data.ms)
      if (data.acknowledged) globalThis.acknowledged?.(storage, data.acknowledged)
      if (data.done) resolve({ storage, ...data.done })
    }
    worker.postMessage({ task, storage, rows })
  })
}

function show(storage, step, ms) {
  const row = document.querySelector('#steps').insertRow()
  for (const text of [storage, step, ms.toFixed(1)]) row.insertCell().textContent = text
}

const outcomes = []
for (const storage of storages) outcomes.push(await run(storage))
document.querySelector('#status').textContent = outcomes
  .map(({ storage, error }) => `${storage}: ${error ? `FAIL: ${error}` : 'PASS'}`)
  .join(' · ')
globalThis.outcomes = outcomes
