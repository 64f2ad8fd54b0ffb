// The records that every peer stores: a key of 16 characters, 100 bytes that no compression makes smaller, and a number to
// find them by.

const VALUE_BYTES = 100

/** Different numbers for each seed, the same each time (SplitMix32). */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}

/** The key of a record: no two are the same, and they come in no order. */
export function keyOf(number) {
  const high = Math.imul(number + 1, 0x9e3779b1) >>> 0
  return high.toString(16).padStart(8, '0') + number.toString(16).padStart(8, '0')
}


/** `count` records from a number on. */
export function records(first, count, ranks = count) {
  return Array.from({ length: count }, (_, at) => {
    const number = first + at
    const next = random(number)
    const value = new Uint8Array(VALUE_BYTES)
    for (let byte = 0; byte < VALUE_BYTES; byte++) value[byte] = next()
    return { id: keyOf(number), n: (Math.imul(number + 7, 0x85ebca6b) >>> 0) % ranks, value }
  })
}
