"""The composition root: settings, URLs, the conventions of the API, how the service is run."""

__version__ = "0.1.0"
