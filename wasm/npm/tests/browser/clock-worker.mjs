// The package's worker, with a wall clock that scripts set: at first the number behind `#` in its address.

import { serve } from '../../dist/serve.js'

let ms = Number(self.location.hash.slice(1))
Date.now = () => ms
const clock = new BroadcastChannel('clock')
clock.onmessage = ({ data }) => {
  ms = data
  clock.postMessage('set')
}
serve(self)
