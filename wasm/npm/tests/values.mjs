// Values in the form of the scripts of `tests/conformance`: see the `README.md` there.

/** Reads a value. `kinds` are the package's own classes. */
export function read(json, kinds) {
  if (json === null || typeof json !== 'object') return json
  if (Array.isArray(json)) return json.map(element => read(element, kinds))
  const names = Object.keys(json)
  if (names.length === 1 && names[0].startsWith('$')) return readMarked(names[0], json[names[0]], kinds)
  return readMap(json, kinds)
}

function readMap(json, kinds) {
  const map = {}
  for (const [name, value] of Object.entries(json)) map[name] = read(value, kinds)
  return map
}

function readMarked(mark, json, kinds) {
  switch (mark) {
    case '$integer': {
      const integer = BigInt(json)
      return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer
    }
    case '$float':
      return { inf: Infinity, '-inf': -Infinity, nan: NaN }[json] ?? Number(json)
    case '$bytes':
      return readBytes(json)
    case '$repeat':
      return json[0].repeat(json[1])
    case '$timestamp': {
      const micros = BigInt(read(json, kinds))
      const date = new Date(Number(micros / 1000n))
      return micros % 1000n === 0n && !Number.isNaN(date.getTime()) ? date : new kinds.Timestamp(micros)
    }
    case '$uuid':
      return kinds.Uuid.parse(json)
    case '$map':
      return readMap(json, kinds)
    default:
      throw new Error(`${mark} stands for no kind of value`)
  }
}

/** Bytes from digits, two for each. */
export function readBytes(digits) {
  return Uint8Array.from(digits.match(/../g) ?? [], pair => parseInt(pair, 16))
}

/** Whether two values are the same, whatever the order of members. */
export function same(left, right) {
  if (Object.is(left, right)) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (left.constructor?.name === 'Uuid' || right.constructor?.name === 'Uuid') return String(left) === String(right)
  if (left instanceof Date || right instanceof Date) return micros(left) === micros(right)
  if (left instanceof Uint8Array || right instanceof Uint8Array || Array.isArray(left) || Array.isArray(right)) {
    return left.constructor === right.constructor && left.length === right.length && Array.prototype.every.call(left, (one, at) => same(one, right[at]))
  }
  const names = Object.keys(left)
  return names.length === Object.keys(right).length && names.every(name => name in right && same(left[name], right[name]))
}

function micros(date) {
  return date instanceof Date ? (date.micros ?? BigInt(date.getTime()) * 1000n) : undefined
}

/** For messages. */
export function shown(value) {
  return JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? `${member}n` : member instanceof Uint8Array ? `bytes ${member}` : member))
}
