"""Messages to other services, committed with the change that they announce."""
