// The package's worker, with a wall clock that scripts set. Behind `#` in its address: what the clock says at first, and the name of
// the channel by which it is set.

import { serve } from '../../dist/serve.js'

const [start, name] = self.location.hash.slice(1).split('/')
let ms = Number(start)
Date.now = () => ms
const clock = new BroadcastChannel(decodeURIComponent(name))
clock.onmessage = ({ data }) => {
  ms = data
  clock.postMessage('set')
}
serve(self)
