"""The composition root: settings, URLs, the conventions of the API, how the service is run."""
