// Which browser engine shows the page. All of them claim to be others, so the order of the questions matters.

/** "firefox", "chromium" or "webkit" */
export function engine(userAgent) {
  if (/\b(?:Firefox|FxiOS)\//.test(userAgent)) return "firefox";
  if (/\b(?:Chrome|Chromium|HeadlessChrome)\//.test(userAgent)) return "chromium";
  return /\bAppleWebKit\//.test(userAgent) ? "webkit" : "chromium";
}
