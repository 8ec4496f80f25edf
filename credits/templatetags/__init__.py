"""Template filters for credits."""
