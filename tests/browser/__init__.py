"""Tests of pages in Debian's Chromium, run by `make test-browser`."""
