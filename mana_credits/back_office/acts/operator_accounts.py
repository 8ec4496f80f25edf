"""Staff accounts and their roles.

Administrators create and deactivate accounts, choose roles and reset a lost second factor.
Permissions come from roles only, and an administrator cannot change their own account.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django_otp.plugins.otp_totp.models import TOTPDevice

from credits import roles
from credits.errors import DomainError
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator

PERMISSION = "credits.manage_staff"


class OperatorUnknown(DomainError):
    """There is no such operator."""

    code = "operator_not_found"
    status = 404
    message = "There is no such operator"


class OwnAccount(DomainError):
    """An operator cannot change their own account."""

    code = "own_account"
    status = 403
    message = "You cannot change your own account"


class NameTaken(DomainError):
    """The username is taken or invalid."""

    code = "name_taken"
    status = 409
    message = "The username is taken or invalid: use letters, digits and @ . + - _"


class WeakPassword(DomainError):
    """The password is too easy to guess. Details: `reasons`."""

    code = "weak_password"
    message = "Choose another password"


def operators() -> QuerySet[User]:
    """Return all operators with their roles, by name."""
    return User.objects.filter(is_staff=True).prefetch_related("groups").order_by("username")


def find(name: str) -> User:
    """Return an operator. Raises OperatorUnknown."""
    found = operators().filter(username=name).first()
    if found is None:
        raise OperatorUnknown
    return found


def acting_at_the_shell(name: str) -> Operator:
    """Return an active operator who acts by a command. Raises OperatorUnknown."""
    found = find(name)
    if not found.is_active:
        raise OperatorUnknown
    return Operator(name, found.has_perm)


def roles_of(user: User) -> list[str]:
    """Return the names of an operator's roles."""
    return sorted(group.name for group in user.groups.all())


def create(
    operator: Operator, name: str, *, email: str, chosen: Collection[str], password: str, key: UUID
) -> User:
    """Create an account. Raises NotPermitted, AlreadyDone, NameTaken, WeakPassword."""
    user = User(username=name, email=email, is_staff=True)
    _check(password, user)
    subject = f"operator:{name}"
    with audit.acting(operator, PERMISSION, why=Justification(), subject=subject, key=key) as act:
        try:
            # `save` does not call the field's validators.
            user.username_validator(name)
            user.set_password(password)
            # A savepoint: a taken name must not abort the act's transaction.
            with transaction.atomic():
                user.save()
        except (IntegrityError, ValidationError) as error:
            raise NameTaken from error
        user.groups.set(_groups(chosen))
        act.after = {"roles": ", ".join(sorted(chosen))}
        return user


def set_roles(operator: Operator, name: str, chosen: Collection[str], *, key: UUID) -> User:
    """Give an operator exactly these roles.

    Raises NotPermitted, AlreadyDone, OwnAccount, OperatorUnknown.
    """
    with _acting_on(operator, name, key) as (user, act):
        act.before = {"roles": ", ".join(roles_of(user))}
        user.groups.set(_groups(chosen))
        act.after = {"roles": ", ".join(sorted(chosen))}
        return user


def set_active(operator: Operator, name: str, active: bool, *, key: UUID) -> User:
    """Activate or deactivate an account; deactivation ends its sessions at once.

    Raises NotPermitted, AlreadyDone, OwnAccount, OperatorUnknown.
    """
    with _acting_on(operator, name, key) as (user, act):
        act.before, act.after = {"active": user.is_active}, {"active": active}
        # Django loads only active users from a session, so this ends the sessions.
        user.is_active = active
        user.save(update_fields=["is_active"])
        return user


def set_password(operator: Operator, name: str, password: str, *, key: UUID) -> User:
    """Set an operator's password and end their sessions.

    Raises NotPermitted, AlreadyDone, OwnAccount, OperatorUnknown, WeakPassword.
    """
    with _acting_on(operator, name, key) as (user, act):
        _check(password, user)
        act.after = {"password": "changed"}
        # Sessions contain a digest of the password, so a new one ends them.
        user.set_password(password)
        user.save(update_fields=["password"])
        return user


def reset_second_factor(operator: Operator, name: str, *, key: UUID) -> User:
    """Delete an operator's authenticators; the next log-in sets up a new one.

    Raises NotPermitted, AlreadyDone, OwnAccount, OperatorUnknown.
    """
    with _acting_on(operator, name, key) as (user, act):
        devices, _ = TOTPDevice.objects.filter(user=user).delete()
        act.before, act.after = {"devices": devices}, {"devices": 0}
        return user


@contextmanager
def _acting_on(operator: Operator, name: str, key: UUID) -> Iterator[tuple[User, AuditRecord]]:
    with audit.acting(
        operator, PERMISSION, why=Justification(), subject=f"operator:{name}", key=key
    ) as act:
        # Otherwise an administrator could give themselves every role and decide alone.
        if operator.name == name:
            raise OwnAccount
        found = User.objects.select_for_update().filter(username=name, is_staff=True).first()
        if found is None:
            raise OperatorUnknown
        yield found, act


def _groups(chosen: Collection[str]) -> QuerySet[Group]:
    return Group.objects.filter(name__in=set(chosen) & set(roles.ALL))


def _check(password: str, user: Any) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(" ".join(error.messages)) from error
