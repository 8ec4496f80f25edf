"""Cloud Sync: subscriptions paid with credits."""
