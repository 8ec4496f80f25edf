"""Service keys: create, rotate, revoke. The secret is shown once and stored as a digest."""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from credits.errors import DomainError
from internal_api import scopes
from internal_api.models import NAME_LENGTH, ServiceKey

MARK = "mana_sk_"
PREFIX_LENGTH = len(MARK) + 6
_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_LENGTH}}}")


class ServiceKeyUnknown(DomainError):
    """No valid service key has this id."""

    code = "service_key_not_found"
    status = 404
    message = "There is no valid service key with this id"


class InvalidServiceKey(DomainError):
    """The name, a scope, a cap or the expiry of a new key is invalid."""

    code = "invalid_service_key"
    message = "The service key is invalid"


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """The terms of a key: its scopes, its caps in credits per UTC day, and its expiry."""

    scopes: Collection[str]
    daily_grants: Decimal | None = None
    daily_refunds: Decimal | None = None
    daily_spend_per_user: Decimal | None = None
    expires_at: datetime | None = None


def digest(secret: str) -> str:
    """Return the hexadecimal SHA-256 digest by which a key is stored and found."""
    # Without salt or stretching: the secret has 256 random bits, and the digest is looked up.
    return sha256(secret.encode()).hexdigest()


def valid(*, now: datetime) -> QuerySet[ServiceKey]:
    """Return the keys that are neither revoked nor expired, the newest first."""
    unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return ServiceKey.objects.filter(unexpired, revoked_at__isnull=True).order_by("-id")


def create(name: str, terms: KeyTerms, *, by: str, now: datetime) -> tuple[ServiceKey, str]:
    """Create a key and return it with its secret. Raises InvalidServiceKey."""
    _check(name, terms, now)
    secret = MARK + secrets.token_urlsafe(32)
    key = ServiceKey.objects.create(
        name=name,
        prefix=secret[:PREFIX_LENGTH],
        digest=digest(secret),
        # In one order and each once, so that equal keys look equal.
        scopes=[scope for scope in scopes.ALL if scope in terms.scopes],
        daily_grants=terms.daily_grants,
        daily_refunds=terms.daily_refunds,
        daily_spend_per_user=terms.daily_spend_per_user,
        expires_at=terms.expires_at,
        created_at=now,
        created_by=by,
    )
    return key, secret


@transaction.atomic
def rotate(key_id: UUID, *, overlap: timedelta, by: str, now: datetime) -> tuple[ServiceKey, str]:
    """Create a key with the same name and terms; the old one stays valid for `overlap`.

    An earlier expiry of the old key is kept. Returns the new key and its secret. Raises
    ServiceKeyUnknown.
    """
    old = _locked(key_id, now)
    # Read before the expiry of the old key is shortened: the new key gets the original one.
    terms = KeyTerms(
        old.scopes, old.daily_grants, old.daily_refunds, old.daily_spend_per_user, old.expires_at
    )
    # The database requires an expiry after the creation.
    end = now + max(overlap, timedelta(microseconds=1))
    old.expires_at = min(end, old.expires_at or end)
    old.save(update_fields=["expires_at"])
    return create(old.name, terms, by=by, now=now)


@transaction.atomic
def revoke(key_id: UUID, *, now: datetime) -> ServiceKey:
    """Revoke a key; every process rejects it within 10 seconds. Raises ServiceKeyUnknown."""
    key = _locked(key_id, now)
    key.revoked_at = now
    key.save(update_fields=["revoked_at"])
    return key


def _locked(key_id: UUID, now: datetime) -> ServiceKey:
    found = valid(now=now).select_for_update().filter(pk=key_id).first()
    if found is None:
        raise ServiceKeyUnknown
    return found


def _check(name: str, terms: KeyTerms, now: datetime) -> None:
    unknown = sorted(set(terms.scopes) - set(scopes.ALL))
    caps = (terms.daily_grants, terms.daily_refunds, terms.daily_spend_per_user)
    if not _NAME.fullmatch(name):
        text = f"The name must have 1 to {NAME_LENGTH} characters: letters, digits and . _ -"
    elif unknown:
        text = f"Unknown scopes: {', '.join(unknown)}. Valid scopes: {', '.join(scopes.ALL)}"
    elif not terms.scopes:
        text = "A key needs at least one scope"
    elif any(cap is not None and cap < 0 for cap in caps):
        text = "A cap must not be negative"
    elif terms.expires_at is not None and terms.expires_at <= now:
        text = "The expiry is in the past"
    else:
        return
    raise InvalidServiceKey(text)
