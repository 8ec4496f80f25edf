"""Events sent to other services: subscriptions, messages and their delivery."""
