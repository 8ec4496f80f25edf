"""The text that `make run` prints when the service is ready."""

import shlex

from mana_credits.dev.sandbox import identity
from mana_credits.dev.sandbox.state import SandboxState

WELCOME = """
mana-credits is running.

  In a browser    {url}/credits   (sign in as any of the demo users)
  The API         {url}/api/docs
  Alice's token   {token}
  Service key     {service_key}

Try it:

  curl -H 'Authorization: Bearer {token}' {url}/api/v1/credits/balance

  curl -H 'X-Service-Key: {service_key}' -d '{{"userId":"demo-alice","amount":2,"appId":"chat",\
"description":"GPT-4 message"}}' {url}/api/v1/internal/credits/use

  curl -H 'Authorization: Bearer {token}' {url}/api/v1/credits/transactions

Buy credits, and pay at the sandbox's Stripe (or open {stripe}/pay/PURCHASE_ID in a browser):

  PURCHASE=$(curl -s -H 'Authorization: Bearer {token}' -d '{{"packageId":"{package}"}}' \
{url}/api/v1/credits/purchase | cut -d'"' -f4); curl -d method=card {stripe}/pay/$PURCHASE

The back office is {url}/admin/  Log in as sam (support), fiona (finance), amir (auditor) or ada
(administrator) with the password mana-sandbox.

More tokens (demo-alice, demo-bob, demo-carol, demo-nora, demo-admin):
  curl -d '{{"user":"demo-bob"}}' {issuer}/api/auth/token
Commands:      . {environment_file}; .venv/bin/python manage.py check_ledger
Service's log: {log}
Ctrl-C stops everything.
"""


def welcome(
    state: SandboxState,
    provider: identity.IdentityProvider,
    package: str,
    environment: dict[str, str],
) -> None:
    """Print how to use the running service."""
    print(
        WELCOME.format(
            url=environment["BASE_URL"],
            token=provider.token("demo-alice"),
            service_key=state.service_key,
            issuer=provider.issuer,
            package=package,
            stripe=environment["STRIPE_API_BASE"],
            environment_file=shlex.quote(str(state.environment_file)),
            log=state.log,
        ),
        flush=True,
    )
