"""Messages to other services, written with the change that they announce."""
