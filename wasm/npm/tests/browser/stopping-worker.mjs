// The package's worker, whose engine stops when it is told to, as it does when it runs out of memory.

import { serve } from '../../dist/serve.js'

new BroadcastChannel(`stop ${decodeURIComponent(self.location.hash.slice(1))}`).onmessage = () => {
  throw new WebAssembly.RuntimeError('unreachable')
}
serve(self)
