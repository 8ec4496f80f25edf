"""Pages in a real browser: Debian's Chromium. `make test-browser` runs these."""
