// First in, first out.

/** Taking away the first of many moves all others, so it is done for many at once. */
const CUT = 1024

export class Queue<T> {
  #items: T[] = []
  #begin = 0

  get length(): number {
    return this.#items.length - this.#begin
  }

  /** The one that came first, undefined when there is none. */
  get first(): T | undefined {
    return this.#items[this.#begin]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#items[this.#begin++]
    if (this.#begin >= CUT || this.length === 0) {
      this.#items.splice(0, this.#begin)
      this.#begin = 0
    }
    return item
  }

  /** All of them; none are left. */
  clear(): T[] {
    const items = this.#items.slice(this.#begin)
    this.#items = []
    this.#begin = 0
    return items
  }
}
