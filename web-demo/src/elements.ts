// Making elements, in one line each.

type Child = Node | string | false | null | undefined

/** An element with these properties and children; properties with a hyphen are attributes. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Record<string, unknown> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-') || name === 'role') element.setAttribute(name, String(value))
    else Object.assign(element, { [name]: value })
  }
  element.append(...children.filter((child): child is Node | string => typeof child === 'string' || child instanceof Node))
  return element
}

/** The element of the page with this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E
}

let hiding: ReturnType<typeof setTimeout>

/** Says something for a moment, with something to do about it. */
export function say(text: string, action?: { label: string; run: () => void }): void {
  const toast = byId('toast')
  toast.replaceChildren(text)
  if (action) {
    toast.append(make('button', { type: 'button', onclick: () => (hide(), action.run()) }, action.label))
  }
  toast.hidden = false
  const hide = () => (toast.hidden = true)
  clearTimeout(hiding)
  hiding = setTimeout(hide, 6000)
}

export const number = (value: number) => value.toLocaleString('en')

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  const power = Math.min(Math.floor(Math.log10(value) / 3), units.length)
  return `${(value / 1000 ** power).toFixed(power > 1 ? 1 : 0)} ${units[power - 1]}`
}
