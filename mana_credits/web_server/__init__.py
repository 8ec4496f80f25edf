"""The web server: gunicorn's processes and parser, and a loop that no client blocks."""
