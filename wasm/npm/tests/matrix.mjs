// Which scripts ran where, and how many operations of each: compared with `matrix.json`, so that a cell that did not run, or not
// whole, is a failure.

/** Gathers what ran. */
export class Matrix {
  #cells = new Map()

  /** @param table what `matrix.json` holds; `runtime`: whose places these are */
  constructor(table, runtime) {
    this.scripts = Object.keys(table.scripts)
    this.places = Object.keys(table.places[runtime])
    this.#table = table
    this.#runtime = runtime
  }

  #table
  #runtime

  ran(place, script, { operations, passedOver }) {
    this.#cells.set(`${place}: ${script}`, `${operations} and ${passedOver} passed over`)
  }

  /** A line for each place. */
  lines() {
    return this.places.map(place => {
      const ran = this.scripts.filter(script => this.#cells.has(`${place}: ${script}`))
      const operations = ran.reduce((sum, script) => sum + parseInt(this.#cells.get(`${place}: ${script}`)), 0)
      return `${this.#runtime}, ${place}: ${ran.length} of ${this.scripts.length} scripts, ${operations} operations`
    })
  }

  /** What is not as the table says. */
  differences() {
    const differences = []
    for (const place of this.places) {
      const { keeps } = this.#table.places[this.#runtime][place]
      for (const script of this.scripts) {
        const { operations, beforeReopening = operations, passedOver = 0 } = this.#table.scripts[script]
        const expected = `${keeps ? operations : beforeReopening} and ${passedOver} passed over`
        const ran = this.#cells.get(`${place}: ${script}`) ?? 'nothing'
        if (ran !== expected) differences.push(`${this.#runtime}, ${place}, ${script}: ${ran}, and not ${expected}`)
      }
    }
    return differences
  }
}
