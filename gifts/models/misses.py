"""Counts of invalid gift codes."""

from django.db import models


class GiftMisses(models.Model):
    """The number of invalid codes tried by one `bucket` (a user or a network) since `since`.

    `refused` counts the attempts beyond the limit. The counts are in the database so that all
    processes share them.
    """

    bucket = models.CharField(max_length=300, primary_key=True)
    misses = models.IntegerField()
    refused = models.IntegerField(db_default=0)
    since = models.DateTimeField()

    class Meta:
        db_table = '"gifts"."gift_misses"'
        verbose_name_plural = "invalid codes"
        indexes = (models.Index(name="gift_misses_by_age_idx", fields=["since"]),)

    @staticmethod
    def bucket_of(user_id: str) -> str:
        """Return the bucket of a user."""
        return f"user:{user_id}"

    @property
    def user_id(self) -> str | None:
        """Return the user who tried the codes, or None for a bucket of many callers."""
        kind, _, user_id = self.bucket.partition(":")
        return user_id if kind == "user" else None

    @property
    def who(self) -> str:
        """Return the user id or the network, or the name of another bucket."""
        return self.bucket.partition(":")[2] or self.bucket
