"""Gift codes in URLs: `<gift_code:…>` also matches a code that was typed with slashes."""

from django.urls import register_converter
from django.urls.converters import StringConverter

from gifts import code_format


class GiftCodeConverter(StringConverter):
    """Matches one path segment, or several that form a gift code without their slashes.

    WSGI decodes `%2F`, so a slash in a code cannot be told from one between segments. Other
    text with slashes does not match. Its route is unknown, and no invalid code is counted.
    """

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        """Return the text as it was typed. Raises ValueError if it does not match."""
        if "/" in value and code_format.read(value) is None:
            raise ValueError("neither a path segment nor a gift code")
        return value


register_converter(GiftCodeConverter, "gift_code")
