"""The API for the ecosystem's other services: spend, reserve, refund, grant."""
