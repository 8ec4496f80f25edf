"""The composition root: settings, URLs, API conventions and process configuration."""

__version__ = "0.1.0"
