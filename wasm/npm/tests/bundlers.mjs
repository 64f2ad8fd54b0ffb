// Installs the packed package in fresh projects of several bundlers, as people do, and has each page put, reload and get in
// Chromium: `node bundlers.mjs PACKAGE.tgz FOLDER [NAME…]`. The pages are in `bundlers`. Before that, programs that know what is
// wrong with packages look at it.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as http from 'node:http'
import * as path from 'node:path'
import { spawn, spawnSync } from 'node:child_process'
import { launch, newProfile } from './browser/chromium.mjs'
import { conclude, test } from './tally.mjs'

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }
const HTML = script => `<!doctype html><title>app</title><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`

const [packed, folder, ...only] = process.argv.slice(2)
const app = fs.readFileSync(new URL('bundlers/app.mjs', import.meta.url), 'utf8')
const react = fs.readFileSync(new URL('bundlers/react.mjs', import.meta.url), 'utf8')

/** The same with a key, so with another worker and another engine. */
const encrypted = app.replace("open('app')", "open('app', { encryption: { key: new Uint8Array(32).fill(7) } })")
assert.notEqual(encrypted, app)

const PARTS = [1, 2, 3, 4, 5].map(part => `lightning-${part}.wasm`)

const VITE = { with: ['vite@8.3.8'], files: { 'index.html': HTML('/app.js'), 'app.js': app } }
const WEBPACK = { with: ['webpack@5.112.2', 'webpack-cli@7.3.1'] }
const NEXT = {
  with: ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'],
  files: {
    'pages/index.js': "import { useEffect } from 'react'\nimport Head from 'next/head'\nimport 'lightning-db'\nexport default function Page() {\n  useEffect(() => void import('../app.js'), [])\n  return <Head><link rel=\"icon\" href=\"data:,\" /></Head>\n}\n",
    'app.js': app,
  },
}

/** By name: what is installed, what is written, what is run, and how the outcome is served. */
const PROJECTS = {
  'vite build': { ...VITE, build: ['vite', 'build'], serve: statics('dist') },
  'vite build, react': {
    ...VITE,
    with: [...VITE.with, 'react@19.3.1', 'react-dom@19.3.1'],
    files: { ...VITE.files, 'app.js': react },
    build: ['vite', 'build'],
    serve: statics('dist'),
  },
  'vite build, encrypted': { ...VITE, files: { ...VITE.files, 'app.js': encrypted }, build: ['vite', 'build'], serve: statics('dist') },
  'a policy without WebAssembly': {
    ...VITE,
    build: ['vite', 'build'],
    serve: statics('dist', undefined, "script-src 'self'"),
    fails: /^PolicyForbids: .*forbids WebAssembly; .*'wasm-unsafe-eval'/,
  },
  'a policy without workers': {
    ...VITE,
    build: ['vite', 'build'],
    serve: statics('dist', undefined, "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'"),
    fails: /^PolicyForbids: .*forbids the worker; .*worker-src/,
  },
  'a policy with both': {
    ...VITE,
    build: ['vite', 'build'],
    serve: statics('dist', undefined, "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:"),
  },
  'vite dev': {
    ...VITE,
    files: { ...VITE.files, 'vite.config.js': "export default { optimizeDeps: { exclude: ['lightning-db'] } }\n" },
    serve: program(port => ['vite', '--port', port, '--strictPort', '--host', 'localhost']),
  },
  webpack: {
    ...WEBPACK,
    files: { 'src/index.js': app, 'dist/index.html': HTML('/main.js') },
    build: ['webpack', '--mode', 'production', '--entry', './src/index.js'],
    serve: statics('dist'),
  },
  'webpack, encrypted': {
    ...WEBPACK,
    files: { 'src/index.js': encrypted, 'dist/index.html': HTML('/main.js') },
    build: ['webpack', '--mode', 'production', '--entry', './src/index.js'],
    serve: statics('dist'),
  },
  // It leaves the worker and the WebAssembly behind, so both come inline.
  esbuild: {
    with: ['esbuild@0.28.2'],
    installs: true,
    files: { 'app.js': app, 'dist/index.html': HTML('/app.js') },
    build: ['esbuild', 'app.js', '--bundle', '--format=esm', '--splitting', '--outdir=dist'],
    serve: statics('dist'),
    isInline: true,
  },
  // The same, from a server that answers with its start page for everything that is missing.
  'esbuild, start page for all': {
    with: ['esbuild@0.28.2'],
    installs: true,
    files: { 'app.js': app, 'dist/index.html': HTML('/app.js') },
    build: ['esbuild', 'app.js', '--bundle', '--format=esm', '--outdir=dist'],
    serve: statics('dist', 'index.html'),
    isInline: true,
  },
  // A classic script, which does not know where it is.
  'esbuild, classic script': {
    with: ['esbuild@0.28.2'],
    installs: true,
    files: { 'app.js': `(async () => {${app.replace(/^import .*$/m, '')}})()`.replace(/^/, "import { open } from 'lightning-db'\n"), 'dist/index.html': HTML('/app.js').replace('type="module" ', 'defer ') },
    build: ['esbuild', 'app.js', '--bundle', '--format=iife', '--log-override:empty-import-meta=silent', '--outdir=dist'],
    serve: statics('dist'),
    isInline: true,
  },
  'next build': { ...NEXT, build: ['next', 'build'], serve: program(port => ['next', 'start', '-p', port]) },
  'next dev': { ...NEXT, serve: program(port => ['next', 'dev', '-p', port]) },
}

/** Programs that look whether the package is as packages should be. */
const LINTS = {
  publint: { with: ['publint@0.3.25'], run: ['publint', 'run', packed, '--strict'] },
  // WebAssembly has no types.
  'are the types wrong': {
    with: ['@arethetypeswrong/cli@0.18.5'],
    run: ['attw', packed, '--profile', 'esm-only', '--exclude-entrypoints', 'lightning.wasm', 'encrypted.wasm', ...PARTS],
  },
}

async function attempt(name, check) {
  if (only.length > 0 && !only.includes(name)) return
  await test(name, check)
}

for (const [name, lint] of Object.entries(LINTS)) {
  await attempt(name, () => {
    const at = path.join(folder, name.replace(/\W+/g, '-'))
    fs.mkdirSync(at, { recursive: true })
    fs.writeFileSync(path.join(at, 'package.json'), '{ "private": true }')
    run(at, 'npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--silent', '--ignore-scripts', ...lint.with])
    run(at, path.join(at, 'node_modules/.bin', lint.run[0]), lint.run.slice(1))
  })
}
const browserProfile = newProfile()
const context = await launch(browserProfile)
for (const [name, project] of Object.entries(PROJECTS)) {
  await attempt(name, () => check(name, project))
}
await context.close()
fs.rmSync(browserProfile, { recursive: true, force: true })
conclude()
process.exit()

async function check(name, { with: packages, installs, files, build, serve, isInline = false, fails }) {
  const at = path.join(folder, name.replace(/\W+/g, '-'))
  // What was installed from a registry is kept between runs; the package never is.
  for (const entry of fs.existsSync(at) ? fs.readdirSync(at) : []) {
    if (entry !== 'node_modules') fs.rmSync(path.join(at, entry), { recursive: true })
  }
  for (const stale of ['lightning-db', '.package-lock.json', '.vite']) fs.rmSync(path.join(at, 'node_modules', stale), { recursive: true, force: true })
  fs.mkdirSync(at, { recursive: true })
  fs.writeFileSync(path.join(at, 'package.json'), '{ "private": true, "type": "module" }')
  for (const [file, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(at, file)), { recursive: true })
    fs.writeFileSync(path.join(at, file), text)
  }
  run(at, 'npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--silent', ...(installs ? [] : ['--ignore-scripts']), packed, ...packages])
  if (build) run(at, path.join(at, 'node_modules/.bin', build[0]), build.slice(1))
  const { address, close } = await serve(at)
  const page = await context.newPage()
  const troubles = []
  page.on('pageerror', error => troubles.push(error.message))
  page.on('console', message => message.type() === 'error' && troubles.push(message.text()))
  const fetched = []
  page.on('response', response => fetched.push(response))
  try {
    const heard = async () => {
      await page.waitForFunction(() => window.outcome, null, { timeout: 60_000 })
      return page.evaluate(() => window.outcome)
    }
    await page.goto(address)
    if (fails) {
      assert.match((await heard()).error, fails)
      return
    }
    assert.deepEqual(await heard(), { before: null, after: 1 }, troubles.join('\n'))
    await page.reload()
    assert.deepEqual(await heard(), { before: 1, after: 2 }, troubles.join('\n'))
    if (!isInline) {
      assert.deepEqual(troubles, [])
      const wasm = fetched.filter(response => /wasm/.test(response.headers()['content-type'] ?? ''))
      assert.ok(wasm.length > 0, 'the WebAssembly was not fetched')
    }
  } finally {
    await page.close()
    await close()
  }
}

function run(cwd, program, args) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' }, shell: process.platform === 'win32' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}\n${stdout}\n${stderr}`)
}

/** Serves a folder; what is missing is 404, or `missing`. `policy` is the Content Security Policy of all that it serves. */
function statics(name, missing, policy) {
  return async at => {
    const root = path.join(at, name)
    const server = http.createServer((request, response) => {
      const { pathname } = new URL(request.url, 'http://localhost')
      let file = path.join(root, path.normalize(pathname === '/' ? 'index.html' : decodeURIComponent(pathname)))
      if (!fs.existsSync(file)) {
        if (!missing) return response.writeHead(404).end()
        file = path.join(root, missing)
      }
      response.writeHead(200, {
        'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
        ...(policy ? { 'content-security-policy': policy } : {}),
      })
      fs.createReadStream(file).pipe(response)
    })
    await new Promise(resolve => server.listen(0, 'localhost', resolve))
    return { address: `http://localhost:${server.address().port}/`, close: () => server.close() }
  }
}

/** Runs a program that serves, until it is closed. */
function program(line) {
  return async at => {
    const port = await freePort()
    const [name, ...args] = line(String(port))
    const child = spawn(process.execPath, [path.join(at, 'node_modules', name, { vite: 'bin/vite.js', next: 'dist/bin/next' }[name]), ...args], { cwd: at, env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' }, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    const address = `http://localhost:${port}/`
    await new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`${name} did not start:\n${said}`)), 60_000)
      const hear = chunk => {
        said += chunk
        if (/ready|localhost:/i.test(said)) {
          clearTimeout(limit)
          resolve()
        }
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.on('exit', () => reject(new Error(`${name} ended:\n${said}`)))
    })
    return { address, close: () => child.kill() }
  }
}

async function freePort() {
  const server = http.createServer()
  await new Promise(resolve => server.listen(0, 'localhost', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}
