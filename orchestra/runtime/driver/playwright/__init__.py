"""The driver `playwright`: steps as calls of Playwright's synchronous interface."""
