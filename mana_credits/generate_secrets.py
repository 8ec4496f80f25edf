"""`python3 -m mana_credits.generate_secrets FILE`: write an environment file with new secrets.

The file is `.env.example` with new secrets filled in. Only its owner can read it. Without FILE, the
command prints the secrets. It needs only Python's standard library.
"""

import os
import re
import secrets
import sys
from argparse import ArgumentParser
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"


def new_secrets() -> dict[str, str]:
    """Return new random values for the secrets that belong to this installation."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "MANA_SERVICE_KEY": secrets.token_urlsafe(32),
        "STATEMENT_KEYS": secrets.token_urlsafe(32),  # the secret of an Ed25519 key
        "POSTGRES_PASSWORD": secrets.token_urlsafe(32),
        "SERVICE_PASSWORD": secrets.token_urlsafe(32),
    }


def filled(example: str, values: dict[str, str]) -> str:
    """Return `example` with these values filled in. Raises LookupError for an unknown variable."""
    for name, value in values.items():
        example, count = re.subn(rf"(?m)^#?{name}=.*$", f"{name}={value}", example)
        if count != 1:
            raise LookupError(name)
    return example


def main(arguments: list[str]) -> int:
    """Write the file, or print the secrets. Return the exit code."""
    parser = ArgumentParser("generate_secrets", description="Write an environment file.")
    parser.add_argument("file", type=Path, nargs="?", help="the file; default: print the secrets")
    path: Path | None = parser.parse_args(arguments).file
    values = new_secrets()
    if path is None:
        print("\n".join(f"{name}={value}" for name, value in values.items()))
        return 0
    try:
        text = filled(EXAMPLE.read_text(encoding="utf-8"), values)
        kept = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(kept, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        print(f"{error.filename} was not written: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"Wrote {path}. Now fill in STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET and the URLs.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
