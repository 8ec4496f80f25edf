"""The surface for the ecosystem's other services: charge, reserve, refund, grant."""
