"""Turn what was done in a browser into steps of a spec: log of an agent's session, or actions of Playwright's recorder.

It starts nothing and reads no clock; `orchestra.runtime.recording` has the browser.
"""
