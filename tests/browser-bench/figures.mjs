// What of many measurements is shown, and how.

export const median = values => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]

export const shown = value => (value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))
