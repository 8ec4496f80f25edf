"""Events told to other services: subscriptions, messages and their delivery."""
