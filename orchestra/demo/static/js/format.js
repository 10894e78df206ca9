// Numbers as people read them: always in the same form, whatever the language of the browser.

/** 1234.5 → "$1,234.50" */
export function money(value) {
  return `$${value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** 1.2 → "+1.20%", with a real minus sign below zero. */
export function percent(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}%`;
}

/** 277600000 → "277.6M" */
export function volume(shares) {
  return `${(shares / 1e6).toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 })}M`;
}

/** The class that colours a change. */
export function direction(change) {
  return change < 0 ? "down" : "up";
}
