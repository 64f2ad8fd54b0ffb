// A map without a map: the places themselves draw the continents. Drag, wheel, pinch, or arrow keys, plus and minus.

import type { Place } from './database'

const WORLD = 1
const ZOOM_MAX = 4000
const LABELS_MAX = 24

/** Mercator, from 0 to 1 both ways. */
const projectX = (lon: number) => (lon + 180) / 360
const projectY = (lat: number) => {
  const radians = (Math.max(-84, Math.min(84, lat)) * Math.PI) / 180
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + radians / 2)) / (2 * Math.PI)
}
const latOf = (y: number) => (Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) * 180) / Math.PI

export class PlaceMap {
  #context: CanvasRenderingContext2D
  /** All places: x and y in turn. */
  #points = new Float32Array(1 << 14)
  #length = 0
  #marked: Place[] = []
  #chosen: Place | undefined
  /** The middle of what is seen, and how many pixels the world is wide, relative to the canvas. */
  #x = 0.52
  #y = 0.42
  #zoom = 1
  #isDrawing = false
  readonly #touches = new Map<number, { x: number; y: number }>()
  #moved = 0

  /** @param pick hears of a click: where, and how far around it a place may be, in degrees */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly pick: (lat: number, lon: number, degrees: number) => void,
  ) {
    this.#context = canvas.getContext('2d')!
    new ResizeObserver(() => this.draw()).observe(canvas)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw())
    canvas.addEventListener('wheel', event => {
      event.preventDefault()
      this.#zoomAt(Math.exp(-event.deltaY * 0.002), event.offsetX, event.offsetY)
    }, { passive: false })
    canvas.addEventListener('pointerdown', event => this.#down(event))
    canvas.addEventListener('pointermove', event => this.#move(event))
    canvas.addEventListener('pointerup', event => this.#up(event))
    canvas.addEventListener('pointercancel', event => this.#touches.delete(event.pointerId))
    canvas.addEventListener('keydown', event => this.#key(event))
  }

  /** Adds points; all of them are drawn faintly. */
  add(places: readonly { lat: number; lon: number }[]): void {
    const needed = this.#length + places.length * 2
    if (needed > this.#points.length) {
      const larger = new Float32Array(Math.max(needed, this.#points.length * 2))
      larger.set(this.#points)
      this.#points = larger
    }
    for (const { lat, lon } of places) {
      this.#points[this.#length++] = projectX(lon)
      this.#points[this.#length++] = projectY(lat)
    }
    this.draw()
  }

  clear(): void {
    this.#length = 0
    this.draw()
  }

  /** Places drawn in colour, the first of them with their names. */
  mark(places: Place[]): void {
    this.#marked = places
    this.draw()
  }

  /** The one that is being looked at. */
  choose(place: Place | undefined): void {
    this.#chosen = place
    this.draw()
  }

  /** Moves so that all of these are seen. */
  show(places: readonly { lat: number; lon: number }[]): void {
    if (places.length === 0) return
    const xs = places.map(place => projectX(place.lon))
    const ys = places.map(place => projectY(place.lat))
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
    const { width, height } = this.#size()
    const fit = Math.min(1 / Math.max(right - left, 0.004), height / width / Math.max(bottom - top, 0.004))
    this.#x = (left + right) / 2
    this.#y = (top + bottom) / 2
    this.#zoom = Math.min(Math.max(fit * 0.8, this.#zoomMin()), ZOOM_MAX)
    this.draw()
  }

  reset(): void {
    this.#x = 0.52
    this.#y = 0.42
    this.#zoom = this.#zoomMin()
    this.draw()
  }

  zoomBy(factor: number): void {
    const { width, height } = this.#size()
    this.#zoomAt(factor, width / 2, height / 2)
  }

  draw(): void {
    if (this.#isDrawing) return
    this.#isDrawing = true
    requestAnimationFrame(() => {
      this.#isDrawing = false
      this.#paint()
    })
  }

  #paint(): void {
    const { width, height } = this.#size()
    if (width === 0 || height === 0) return
    const ratio = Math.min(devicePixelRatio || 1, 2)
    const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)]
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns
      this.canvas.height = rows
    }
    const style = getComputedStyle(this.canvas)
    const context = this.#context
    this.#zoom = Math.max(this.#zoom, this.#zoomMin())
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.putImageData(this.#density(columns, rows, ratio, style), 0, 0)
    context.setTransform(ratio, 0, 0, ratio, 0, 0)

    const scale = this.#zoom * width * WORLD
    const at = (place: Place): [number, number] => [
      (projectX(place.lon) - this.#x) * scale + width / 2,
      (projectY(place.lat) - this.#y) * scale + height / 2,
    ]
    const isSeen = ([x, y]: [number, number]) => x > -20 && y > -20 && x < width + 20 && y < height + 20
    context.fillStyle = style.getPropertyValue('--accent')
    context.strokeStyle = style.getPropertyValue('--map')
    context.lineWidth = 0.75
    const size = Math.min(1, width / 640) * (this.#zoom > 4 ? 1.7 : 1)
    // A few are to be seen as well as many.
    const smallest = this.#marked.length < 100 ? 3 : 1.6
    // The largest come first, so they are drawn last.
    for (let index = this.#marked.length - 1; index >= 0; index--) {
      const place = this.#marked[index]!
      const where = at(place)
      if (isSeen(where)) this.#dot(where, size * (smallest + Math.sqrt(place.population) / 1100))
    }
    const taken: [number, number, number, number][] = []
    if (this.#chosen) {
      const where = at(this.#chosen)
      context.fillStyle = style.getPropertyValue('--mark')
      this.#dot(where, 6)
      this.#label(this.#chosen.name, where, style, taken, true)
    }
    let labels = 0
    for (const place of this.#marked) {
      if (labels >= LABELS_MAX) break
      if (place.id === this.#chosen?.id) continue
      const where = at(place)
      if (isSeen(where) && this.#label(place.name, where, style, taken, false)) labels++
    }
  }

  /** Every place, the brighter the more of them there are. */
  #density(columns: number, rows: number, ratio: number, style: CSSStyleDeclaration): ImageData {
    const image = new ImageData(columns, rows)
    const pixels = new Uint32Array(image.data.buffer)
    const [back, faint, full] = ['--map', '--map-faint', '--map-full'].map(name => colour(style.getPropertyValue(name)))
    const shades = Array.from({ length: 9 }, (_, step) => mixed(faint!, full!, step / 8))
    pixels.fill(mixed(back!, back!, 0))
    const scale = this.#zoom * columns
    const [left, top] = [columns / 2 - this.#x * scale, rows / 2 - this.#y * scale]
    const side = Math.max(1, Math.min(3, Math.round(ratio * (this.#zoom > 12 ? 1.5 : 1))))
    const counts = new Uint8Array(columns * rows)
    for (let index = 0; index < this.#length; index += 2) {
      const x = (this.#points[index]! * scale + left) | 0
      const y = (this.#points[index + 1]! * scale + top) | 0
      if (x < 0 || y < 0 || x + side > columns || y + side > rows) continue
      for (let row = y; row < y + side; row++) {
        for (let column = x; column < x + side; column++) {
          const pixel = row * columns + column
          const count = Math.min(counts[pixel]! + 1, 8)
          counts[pixel] = count
          pixels[pixel] = shades[count]!
        }
      }
    }
    return image
  }

  #dot([x, y]: [number, number], radius: number): void {
    this.#context.beginPath()
    this.#context.arc(x, y, radius, 0, 2 * Math.PI)
    this.#context.fill()
    if (radius > 2.2) this.#context.stroke()
  }

  /** Writes a name where there is room for it; whether there was. */
  #label(
    text: string,
    [x, y]: [number, number],
    style: CSSStyleDeclaration,
    taken: [number, number, number, number][],
    isChosen: boolean,
  ): boolean {
    const context = this.#context
    context.font = `${isChosen ? 600 : 500} 12px system-ui, sans-serif`
    const width = context.measureText(text).width
    const { width: seen } = this.#size()
    const left = x + 8 + width > seen ? x - 8 - width : x + 8
    const box: [number, number, number, number] = [left - 2, y - 8, left + width + 2, y + 8]
    if (left < 0 || taken.some(([a, b, c, d]) => box[0] < c && box[2] > a && box[1] < d && box[3] > b)) return false
    taken.push(box)
    context.lineJoin = 'round'
    context.lineWidth = 3
    context.strokeStyle = style.getPropertyValue('--map')
    context.strokeText(text, left, y + 4)
    context.fillStyle = style.getPropertyValue('--text')
    context.fillText(text, left, y + 4)
    return true
  }

  #down(event: PointerEvent): void {
    this.canvas.setPointerCapture(event.pointerId)
    this.#touches.set(event.pointerId, { x: event.offsetX, y: event.offsetY })
    this.#moved = 0
  }

  #move(event: PointerEvent): void {
    const before = this.#touches.get(event.pointerId)
    if (!before) return
    const now = { x: event.offsetX, y: event.offsetY }
    const other = [...this.#touches].find(([id]) => id !== event.pointerId)?.[1]
    this.#touches.set(event.pointerId, now)
    const distance = (a: typeof now, b: typeof now) => Math.hypot(a.x - b.x, a.y - b.y)
    this.#moved += distance(before, now)
    if (other) {
      this.#zoomAt(distance(now, other) / Math.max(distance(before, other), 1), (now.x + other.x) / 2, (now.y + other.y) / 2)
    } else this.#pan(now.x - before.x, now.y - before.y)
  }

  #up(event: PointerEvent): void {
    this.#touches.delete(event.pointerId)
    if (this.#moved > 6) return
    const { width, height } = this.#size()
    const scale = this.#zoom * width
    const x = this.#x + (event.offsetX - width / 2) / scale
    const y = this.#y + (event.offsetY - height / 2) / scale
    this.pick(latOf(y), x * 360 - 180, (12 / scale) * 360)
  }

  #key(event: KeyboardEvent): void {
    const steps: Record<string, () => void> = {
      ArrowLeft: () => this.#pan(60, 0),
      ArrowRight: () => this.#pan(-60, 0),
      ArrowUp: () => this.#pan(0, 60),
      ArrowDown: () => this.#pan(0, -60),
      '+': () => this.zoomBy(1.5),
      '=': () => this.zoomBy(1.5),
      '-': () => this.zoomBy(1 / 1.5),
      '0': () => this.reset(),
    }
    const step = steps[event.key]
    if (!step || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    step()
  }

  #pan(x: number, y: number): void {
    const { width } = this.#size()
    this.#x = Math.min(Math.max(this.#x - x / (this.#zoom * width), 0), 1)
    this.#y = Math.min(Math.max(this.#y - y / (this.#zoom * width), 0), 1)
    this.draw()
  }

  #zoomAt(factor: number, x: number, y: number): void {
    const { width, height } = this.#size()
    const zoom = Math.min(Math.max(this.#zoom * factor, this.#zoomMin()), ZOOM_MAX)
    const shift = (1 / this.#zoom - 1 / zoom) / width
    this.#x = Math.min(Math.max(this.#x + (x - width / 2) * shift, 0), 1)
    this.#y = Math.min(Math.max(this.#y + (y - height / 2) * shift, 0), 1)
    this.#zoom = zoom
    this.draw()
  }

  /** The world fills the canvas. */
  #zoomMin(): number {
    const { width, height } = this.#size()
    return Math.max(1, (height / width) * 1.35)
  }

  #size(): { width: number; height: number } {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight }
  }
}

type Colour = [number, number, number]

function colour(text: string): Colour {
  const digits = text.trim().slice(1)
  return [0, 2, 4].map(at => Number.parseInt(digits.slice(at, at + 2), 16)) as Colour
}

/** As a pixel: the bytes are red, green, blue, alpha. */
function mixed(from: Colour, to: Colour, part: number): number {
  const [red, green, blue] = from.map((value, at) => Math.round(value + (to[at]! - value) * part)) as Colour
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0
}
