"""Record what a person does in a browser, by Playwright's own recorder."""
