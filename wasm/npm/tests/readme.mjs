// The code in README.md: all of it is type-checked, and what needs no browser is run. The blocks are one program, read from
// top to bottom; blocks marked `browser`, and those in JSX, are checked where they stand, and not run.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { spawnSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const npm = fileURLToPath(new URL('..', import.meta.url))
const text = fs.readFileSync(path.join(npm, 'README.md'), 'utf8')
const blocks = [...text.matchAll(/^```(ts|ts browser|tsx)\n(.*?)^```$/gms)].map(([, kind, code]) => ({ isBrowser: kind !== 'ts', code }))

/** An application that has the package, as npm would install it. */
let app

before(() => {
  app = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-readme-'))
  fs.mkdirSync(path.join(app, 'node_modules'))
  fs.symlinkSync(npm, path.join(app, 'node_modules/lightning-db'), 'junction')
  for (const name of ['@types', 'react', 'abstract-level']) fs.symlinkSync(path.join(npm, 'node_modules', name), path.join(app, 'node_modules', name), 'junction')
  fs.writeFileSync(path.join(app, 'package.json'), '{ "type": "module" }')
})

after(() => fs.rmSync(app, { recursive: true, force: true }))

function tool(name, ...args) {
  const { status, stdout, stderr } = spawnSync(path.join(npm, 'node_modules/.bin', name), args, { cwd: app, encoding: 'utf8', shell: process.platform === 'win32' })
  assert.equal(status, 0, stdout + stderr)
}

test('README: every block is well typed', () => {
  assert.ok(blocks.length > 15, `${blocks.length} blocks were found`)
  const imports = /^import .*\n/gm
  const program = blocks.map(({ isBrowser, code }, at) =>
    isBrowser ? `${code.match(imports)?.join('') ?? ''}async function browser${at}() {\n${code.replace(imports, '')}}\n` : code,
  )
  fs.writeFileSync(path.join(app, 'readme.tsx'), program.join('\n'))
  fs.writeFileSync(path.join(app, 'assets.d.ts'), "declare module '*?url' {\n  const address: string\n  export default address\n}\n")
  const compilerOptions = { target: 'ES2022', module: 'ESNext', moduleResolution: 'bundler', strict: true, jsx: 'react-jsx', noEmit: true, types: ['node'], skipLibCheck: true, lib: ['ES2022', 'ESNext.Disposable', 'DOM', 'DOM.AsyncIterable'] }
  fs.writeFileSync(path.join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['readme.tsx', 'assets.d.ts'] }))
  tool('tsc', '-p', '.')
})

test('README: every block that needs no browser runs', () => {
  fs.writeFileSync(path.join(app, 'run.ts'), blocks.filter(({ isBrowser }) => !isBrowser).map(({ code }) => code).join('\n'))
  tool('esbuild', 'run.ts', '--format=esm', '--outfile=run.js', '--log-level=warning')
  const { status, stdout, stderr } = spawnSync(process.execPath, ['run.js'], { cwd: app, encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /Ada\nGrace\n/)
  assert.match(stdout, /sweep/)
  assert.match(stdout, /Unexpected/)
})
