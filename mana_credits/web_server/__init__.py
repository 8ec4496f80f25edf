"""The web server: gunicorn's processes and parser, and a loop in which no client holds a thread."""
