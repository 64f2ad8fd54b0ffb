// Writes the places that the app imports: `node places.mjs cities.jsonl public/places.jsonl`. The first line
// says how many there are; each of the others is a list, in the order in which `src/import.ts` reads it.

import * as fs from 'node:fs'
import * as readline from 'node:readline'

const [from, to] = process.argv.slice(2)
const places = []
for await (const line of readline.createInterface({ input: fs.createReadStream(from) })) {
  const { id, name, country, population, lat, lon } = JSON.parse(line)
  places.push(JSON.stringify([id, name, country, population, lat, lon]))
}
fs.writeFileSync(to, [places.length, ...places, ''].join('\n'))
