"""Demo operators, one of each role, all with one password."""

from django.contrib.auth.models import Group, User

from credits import roles

PASSWORD = "mana-sandbox"
OPERATORS = {
    "sam": roles.SUPPORT,
    "fiona": roles.FINANCE,
    "amir": roles.AUDITOR,
    "ada": roles.ADMINISTRATOR,
}


def seed_staff() -> None:
    """Make the demo operators, where they are not there already."""
    for name, role in OPERATORS.items():
        user, is_new = User.objects.get_or_create(
            username=name,
            defaults={
                "is_staff": True,
                "email": f"{name}@example.test",
                "first_name": name.title(),
            },
        )
        if is_new:
            user.set_password(PASSWORD)
            user.save()
            user.groups.add(Group.objects.get(name=role))
