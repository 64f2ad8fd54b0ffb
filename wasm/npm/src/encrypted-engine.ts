// The engine with ciphers, for whoever has another one in its own script.

export { Engine, default, initSync } from './generated/encrypted/engine.js'
