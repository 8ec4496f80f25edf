"""Cloud Sync: subscriptions that are paid with credits."""
